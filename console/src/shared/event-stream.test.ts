import { expect, test } from 'vitest';
import { eventReader, LINE_CHARACTERS_MAX } from './event-stream';

test('events are whole wherever the stream is cut', () => {
  const stream = ': hello\nevent: intercept\r\nid: 7\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata: x\n\nevent: nothing\n\n';
  const whole = [
    { kind: 'intercept', data: '{"a":\n1}', id: '7' },
    { kind: 'message', data: 'x', id: '7' },
  ];
  for (let at = 0; at <= stream.length; at += 1) {
    const read = eventReader();
    expect([...read(stream.slice(0, at)), ...read(stream.slice(at))], `cut at ${at}`).toEqual(whole);
  }
  const read = eventReader();
  expect([...stream].flatMap(read)).toEqual(whole);
});

test('a line without an end is not gathered for ever', () => {
  const read = eventReader();
  expect(() => read('x'.repeat(LINE_CHARACTERS_MAX + 1))).toThrow();
});
