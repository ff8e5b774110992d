import { expect, test } from 'vitest';
import { LANES_MAX, pictureOf, placeOf } from './network-picture';

const at = (hour: number) => new Date(Date.UTC(2026, 2, 1, hour)).toISOString();
const ms = (hour: number) => Date.parse(at(hour));
const change = (hour: number, before: object | null, after: object) => ({ at: at(hour), actor: 'admin', client_ip: null, action: 'set_networks', detail: JSON.stringify({ before, after }) });

const binding = { bound_at: at(1), networks: ['10.0.0.2', '10.0.0.9'], status: 'active' };
const story = {
  // The last one comes first.
  changes: [
    change(7, { status: 'banned', networks: ['10.0.0.2'] }, { status: 'active', networks: ['10.0.0.2'] }),
    change(6, { status: 'active', networks: ['10.0.0.2'] }, { status: 'banned', networks: ['10.0.0.2'] }),
    change(5, { status: 'active', networks: ['10.0.0.1'] }, { status: 'active', networks: ['10.0.0.2'] }),
    { ...change(2, null, {}), detail: 'a note in plain text' },
  ],
  refusals: [{ network: '192.0.2.0/24', count: 4, first_at: at(3), last_at: at(8) }],
  earlier: [{ archived_at: at(1), bound_at: at(0), networks: ['10.0.0.1'], reason: 'unbind' }],
};

test('what was bound, by which binding, and refused, is told by network', () => {
  const picture = pictureOf(binding, story, ms(10));
  const lane = (network: string) => picture.lanes.find((one) => one.network === network);
  expect(picture.lanes.map((one) => one.network)).toEqual(['10.0.0.2', '10.0.0.9', '10.0.0.1', '192.0.2.0/24']);
  expect(lane('10.0.0.2')?.bound).toEqual([{ from: ms(5), to: null }]);
  expect(lane('10.0.0.1')).toMatchObject({ bound: [{ from: ms(1), to: ms(5) }], earlier: [{ from: ms(0), to: ms(1) }], refused: null });
  expect(lane('10.0.0.9')?.bound).toEqual([{ from: ms(7), to: null }]);
  expect(lane('192.0.2.0/24')).toMatchObject({ bound: [], refused: { from: ms(3), to: ms(8), count: 4 } });
  expect(picture.banned).toEqual([{ from: ms(6), to: ms(7) }]);
  expect([picture.from, picture.to, picture.left]).toEqual([ms(0), ms(10), 0]);
});

test('without changes the networks are those from the first use on', () => {
  const picture = pictureOf({ ...binding, networks: ['10.0.0.1'] }, { changes: [], refusals: [], earlier: [] }, ms(2));
  expect(picture.lanes).toEqual([{ network: '10.0.0.1', bound: [{ from: ms(1), to: null }], earlier: [], refused: null }]);
  expect(pictureOf({ ...binding, bound_at: at(2) }, { changes: [], refusals: [], earlier: [] }, ms(2)).from).toBeLessThan(ms(2));
});

test('so many are drawn and no more', () => {
  const refusals = Array.from({ length: 50 }, (_, one) => ({ network: `192.0.${one}.0/24`, count: 1, first_at: at(2), last_at: at(2) }));
  const picture = pictureOf(binding, { ...story, refusals }, ms(10));
  expect([picture.lanes.length, picture.left]).toEqual([LANES_MAX, 53 - LANES_MAX]);
});

test('a stretch lies within the picture, one that lasts up to its end', () => {
  const picture = { from: 0, to: 200 };
  expect(placeOf({ from: 50, to: null }, picture)).toEqual({ x: 25, width: 75 });
  expect(placeOf({ from: -50, to: 100 }, picture)).toEqual({ x: 0, width: 50 });
});
