-- The load: POST /v1/chat/completions with a 300-byte JSON body and a Bearer of 10,000 distinct keys in turn. The
-- requests are put together before the first one is sent; when done, one line of JSON goes to standard output.
-- Must be the same for every proxy.

local keys, body_bytes = 10000, 300
local head = '{"model":"gpt-4o-mini","stream":false,"messages":[{"role":"user","content":"'
local tail = '"}]}'
local body = head .. string.rep("x", body_bytes - #head - #tail) .. tail
local requests, turn = {}, 0

function init(arguments)
  for number = 1, keys do
    requests[number] = wrk.format("POST", nil, {
      ["Host"] = wrk.headers["Host"],
      ["Content-Type"] = "application/json",
      ["Authorization"] = string.format("Bearer sk-bench%043d", number),
    }, body)
  end
end

function request()
  turn = turn % keys + 1
  return requests[turn]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"duration_us":%d,"bytes":%d,"p50_us":%d,"p99_us":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
