-- Fills a database that `sentinel migrate` made: :bindings bindings, :intercepts refusals over 30 days, :events events of operators, figures and
-- lists as long as they get. What a filter lets through is sometimes common, sometimes as rare as it can be.
\set ON_ERROR_STOP on

DO $$
DECLARE day date; name text;
BEGIN
    FOR day IN SELECT generate_series(current_date - 31, current_date + 1, '1 day')::date LOOP
        name := 'intercept_logs_day_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I PARTITION OF intercept_logs FOR VALUES FROM (%L) TO (%L)', name, day, day + 1);
    END LOOP;
END $$;

INSERT INTO bindings (fingerprint, hint, status, policy, version, bound_at, updated_at, last_used_at, use_count, note, labels, profile)
SELECT sha256(int8send(n)), 'sk-' || left(md5(n::text), 2) || '…' || right(md5(n::text), 4),
    CASE WHEN n % 1009 = 0 THEN 'banned' ELSE 'active' END, '{}', n, bound, bound,
    CASE WHEN n % 5 <> 0 THEN now() - interval '30 days' * power(n * 7919 % 1000003 / 1000003.0, 2) END,
    CASE WHEN n % 5 <> 0 THEN 1 + 1000000 / (1 + n * 104729 % 1000003) + n * 31 % 500 ELSE 0 END,
    CASE WHEN n % 211 = 0 THEN 'customer ' || n ELSE '' END,
    CASE WHEN n % 101 = 0 THEN ARRAY['team-' || n % 50] ELSE '{}' END,
    CASE WHEN n % 100000 = 7 THEN 'gemini' WHEN n % 20 = 3 THEN 'litellm' ELSE 'new-api' END
FROM generate_series(1, :bindings::bigint) n, LATERAL (SELECT now() - interval '400 days' * (1 - n / :bindings::float8)) AS t (bound);
INSERT INTO binding_networks (binding_id, position, network)
SELECT id, 0, ('10.0.0.0'::inet + id * 104729 % 16777216)::cidr FROM bindings;

INSERT INTO intercept_logs (reference, at, last_at, reason, outcome, binding_id, networks, fingerprint, hint, client_ip, method, path, user_agent,
    count, profile, replica)
SELECT 'sr_' || left(md5(n::text), 20), moment, moment,
    CASE WHEN n % 500000 = 3 THEN 'client_ip_unresolvable' WHEN n % 50 = 7 THEN 'key_missing' WHEN n % 12 = 5 THEN 'key_banned'
        ELSE 'key_ip_mismatch' END,
    CASE WHEN n < :intercepts / 10 THEN 'observed' ELSE 'refused' END, key, '10.1.2.3/32', sha256(int8send(key)),
    'sk-' || left(md5(key::text), 2) || '…' || right(md5(key::text), 4), '10.0.0.0'::inet + n * 31 % 1000000, 'POST', '/v1/chat/completions',
    'OpenAI/Python 1.' || n % 90 || '.0', 1, 'new-api', 'replica-1'
FROM generate_series(1, :intercepts::bigint) n,
    LATERAL (SELECT now() - interval '30 days' * (1 - n / :intercepts::float8), 1 + n * 7919 % :bindings) AS t (moment, key);

INSERT INTO admin_events (at, actor, action, detail, binding_id)
SELECT now() - interval '365 days' * (1 - n / :events::float8), CASE WHEN n % 50000 = 1 THEN 'seldom' ELSE 'admin ' || n % 5 END,
    CASE WHEN n % 100000 = 1 THEN 'settings.update' ELSE (ARRAY['binding.ban', 'binding.unban', 'login'])[1 + n % 3] END,
    '{"binding":' || n || '}', n
FROM generate_series(1, :events) n;

INSERT INTO traffic
SELECT span, moment, measure, 1000
FROM unnest(ARRAY['minute', 'hour', 'day'], ARRAY[interval '2 days', '60 days', '731 days']) AS spans (span, kept),
    LATERAL generate_series(date_trunc(span, now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - kept, now(), ('1 ' || span)::interval) moment,
    unnest(ARRAY['allowed', 'observed', 'bound', 'released', 'key_ip_mismatch', 'key_banned', 'key_missing', 'upstream_timeout']) measure;
INSERT INTO top_refused
SELECT 'day', date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - day * interval '1 day', kind,
    CASE kind WHEN 'key' THEN 'binding ' || n ELSE host('10.0.0.0'::inet + n) END, CASE kind WHEN 'key' THEN n END, 'sk-ab…wxyz', n, 0
FROM generate_series(0, 60) day, unnest(ARRAY['key', 'address']) kind, generate_series(1, 2000) n;

VACUUM ANALYZE;
