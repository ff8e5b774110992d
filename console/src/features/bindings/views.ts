import { useStorage } from '@vueuse/core';
import { knownColumns, type Column } from './columns';
import { FILTERS } from './filter';

/** Filters, an order and columns under a name. It has no part of a key but the hint that is looked for. */
export interface SavedView {
  name: string;
  query: Record<string, string>;
  columns: Column[];
}

/** So many are kept in a browser. */
export const VIEWS_MAX = 20;
export const VIEW_NAME_CHARACTERS_MAX = 40;

const KEPT_AS = 'sentinel.bindings.views';
const KEPT: readonly string[] = [...FILTERS, 'sort'];

/** What of an address belongs to a view: no page, and no binding that is open. */
export function viewQuery(query: Record<string, unknown>): Record<string, string> {
  const kept = KEPT.filter((name) => typeof query[name] === 'string' && query[name] !== '');
  return Object.fromEntries(kept.map((name) => [name, String(query[name])]));
}

const isMembers = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** What was kept, as far as it can be read: an older or newer console may have written it. */
export function readViews(text: string): SavedView[] {
  let kept: unknown;
  try {
    kept = JSON.parse(text);
  } catch {
    return [];
  }
  const views = (Array.isArray(kept) ? kept : []).filter((one) => isMembers(one) && typeof one.name === 'string' && isMembers(one.query)) as SavedView[];
  return views.slice(0, VIEWS_MAX).map((one) => ({ name: one.name.slice(0, VIEW_NAME_CHARACTERS_MAX), query: viewQuery(one.query), columns: knownColumns(one.columns) }));
}

/** With this view in the place of the one of its name, or behind the others. */
export function withView(views: SavedView[], view: SavedView): SavedView[] {
  const known = views.some((one) => one.name === view.name);
  return known ? views.map((one) => (one.name === view.name ? view : one)) : [...views, view].slice(0, VIEWS_MAX);
}

/** Under another name; one that is taken changes nothing. */
export function renamed(views: SavedView[], from: string, to: string): SavedView[] {
  const isTaken = to === '' || views.some((one) => one.name === to);
  return isTaken ? views : views.map((one) => (one.name === from ? { ...one, name: to } : one));
}

export const isSameView = (one: Omit<SavedView, 'name'>, other: Omit<SavedView, 'name'>): boolean =>
  JSON.stringify([viewQuery(one.query), one.columns]) === JSON.stringify([viewQuery(other.query), other.columns]);

export const useViews = () => useStorage<SavedView[]>(KEPT_AS, [], localStorage, { serializer: { read: readViews, write: JSON.stringify } });
