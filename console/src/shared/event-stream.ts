/** One of the server's events (the text/event-stream of the HTML standard). */
export interface ServerEvent {
  kind: string;
  data: string;
  /** What `Last-Event-ID` takes to go on behind it; the last one that was given. */
  id: string;
}

/** A line longer than this is none of our server's. */
export const LINE_CHARACTERS_MAX = 256 * 1024;

const LINE_END = /\r\n|\n|\r/;

/** Takes a stream piece by piece, wherever it is cut, and gives the events that are whole. */
export function eventReader(): (piece: string) => ServerEvent[] {
  let rest = '';
  let id = '';
  let kind = '';
  let data: string[] = [];

  function event(): ServerEvent[] {
    const whole = data.length > 0 ? [{ kind: kind || 'message', data: data.join('\n'), id }] : [];
    [kind, data] = ['', []];
    return whole;
  }

  function line(text: string): ServerEvent[] {
    if (text === '') return event();
    const colon = text.indexOf(':');
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') kind = value;
    else if (field === 'data') data.push(value);
    else if (field === 'id' && !value.includes('\0')) id = value;
    return [];
  }

  return (piece) => {
    const text = rest + piece;
    // A carriage return at the end may be half of a line's end.
    const isHalf = text.endsWith('\r');
    const lines = (isHalf ? text.slice(0, -1) : text).split(LINE_END);
    rest = (lines.pop() ?? '') + (isHalf ? '\r' : '');
    if (rest.length > LINE_CHARACTERS_MAX) throw new Error('a line of the event stream is too long');
    return lines.flatMap(line);
  };
}
