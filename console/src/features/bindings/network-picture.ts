import { readDetail } from '@/shared/state-change';
import type { Binding, BindingHistory } from './queries';

/** So many networks are drawn; the lists beside the picture name the others. */
export const LANES_MAX = 12;
/** A shorter time is drawn as long as this. */
const SHORTEST_MS = 60_000;

/** A stretch of time. `to` is null while it lasts. */
export interface Span {
  from: number;
  to: number | null;
}

/** What became of one network: when the key was bound to it, now or as an earlier binding, and when it was refused from there. */
export interface Lane {
  network: string;
  bound: Span[];
  earlier: Span[];
  refused: { from: number; to: number; count: number } | null;
}

export interface Picture {
  from: number;
  to: number;
  lanes: Lane[];
  /** How many networks are not drawn. */
  left: number;
  banned: Span[];
}

type Story = Pick<BindingHistory, 'changes' | 'refusals' | 'earlier'>;
type State = { networks?: unknown; status?: unknown };

const networksOf = (state: unknown): string[] | null => {
  const networks = (state as State | null)?.networks;
  return Array.isArray(networks) ? networks.map(String) : null;
};

/** The sets of networks, each from its moment on, the first one first. A network that the key learned by itself is in no change: it counts from the last one on. */
function settings(binding: Pick<Binding, 'bound_at' | 'networks'>, changes: Story['changes']): [at: number, networks: string[]][] {
  const sets: [number, string[]][] = [];
  for (const change of [...changes].reverse()) {
    const { before, after } = readDetail(change.detail);
    const [was, is] = [networksOf(before), networksOf(after)];
    if (!is) continue;
    if (sets.length === 0) sets.push([Date.parse(binding.bound_at), was ?? is]);
    sets.push([Date.parse(change.at), is]);
  }
  const last = sets.pop();
  return [...sets, [last?.[0] ?? Date.parse(binding.bound_at), binding.networks]];
}

function spansOf(network: string, sets: [number, string[]][]): Span[] {
  const spans: Span[] = [];
  let since: number | null = null;
  for (const [at, networks] of sets) {
    const isIn = networks.includes(network);
    if (isIn) since ??= at;
    else if (since !== null) {
      spans.push({ from: since, to: at });
      since = null;
    }
  }
  return since === null ? spans : [...spans, { from: since, to: null }];
}

function bans(changes: Story['changes'], isBanned: boolean): Span[] {
  const spans: Span[] = [];
  for (const change of [...changes].reverse()) {
    const status = (readDetail(change.detail).after as State | null | undefined)?.status;
    const open = spans.at(-1);
    const isOpen = open !== undefined && open.to === null;
    if (status === 'banned' && !isOpen) spans.push({ from: Date.parse(change.at), to: null });
    else if (status === 'active' && isOpen) open.to = Date.parse(change.at);
  }
  // A ban that ended by itself is in no change: nobody knows when, so that it is not drawn.
  return isBanned ? spans : spans.filter((span) => span.to !== null);
}

/** The picture of a binding's networks up to now. Those that are bound come first, then those that were, then where it was only refused. */
export function pictureOf(binding: Pick<Binding, 'bound_at' | 'networks' | 'status'>, story: Story, now: number): Picture {
  const sets = settings(binding, story.changes);
  const names = [...binding.networks, ...sets.flatMap(([, networks]) => networks), ...story.earlier.flatMap((one) => one.networks), ...story.refusals.map((one) => one.network)];
  const lanes = [...new Set(names)].map((network): Lane => {
    const refusal = story.refusals.find((one) => one.network === network);
    const earlier = story.earlier.filter((one) => one.networks.includes(network));
    return {
      network,
      bound: spansOf(network, sets),
      earlier: earlier.map((one) => ({ from: Date.parse(one.bound_at ?? one.archived_at), to: Date.parse(one.archived_at) })),
      refused: refusal ? { from: Date.parse(refusal.first_at), to: Date.parse(refusal.last_at), count: refusal.count } : null,
    };
  });
  const drawn = lanes.slice(0, LANES_MAX);
  const begins = drawn.flatMap((lane) => [...lane.bound, ...lane.earlier, ...(lane.refused ? [lane.refused] : [])]).map((span) => span.from);
  return { from: Math.min(now - SHORTEST_MS, ...begins), to: now, lanes: drawn, left: lanes.length - drawn.length, banned: bans(story.changes, binding.status === 'banned') };
}

/** Where a stretch lies in the picture, in percent of its width. */
export function placeOf({ from, to }: Span, picture: Pick<Picture, 'from' | 'to'>): { x: number; width: number } {
  const at = (moment: number) => (100 * (Math.min(Math.max(moment, picture.from), picture.to) - picture.from)) / (picture.to - picture.from);
  const x = at(from);
  return { x, width: at(to ?? picture.to) - x };
}
