import { computed } from 'vue';
import { useAddressFilter, useAddressPages } from '@/shared/address-bar';
import type { BindingFilter, BindingPlace } from './queries';

/** The filters as the address bar names them; the API names them so too. */
export const FILTERS = ['status', 'hint', 'address', 'network', 'profile', 'label', 'note', 'used_after', 'used_before'] as const satisfies (keyof BindingFilter)[];

/** Those that are typed, and looked for less often. */
export const MORE_FILTERS = ['label', 'note', 'network', 'profile'] as const satisfies (keyof BindingFilter)[];

const DATES: readonly string[] = ['used_after', 'used_before'];

/** The begin of a day where the operator is; what is no day goes on as it is, and the server says so. */
export function dayStart(day: string): string {
  const start = new Date(`${day}T00:00:00`);
  return Number.isNaN(start.getTime()) ? day : start.toISOString();
}

/** Which bindings are asked for, in which order and from where on, as the address bar says. */
export function useBindingFilter() {
  const kept = FILTERS.map((name) => [name, useAddressFilter(name)] as const);
  const sort = useAddressFilter('sort');
  const pages = useAddressPages();
  const filter = computed<BindingFilter>(() =>
    Object.fromEntries(kept.filter(([, text]) => text.value !== '').map(([name, text]) => [name, DATES.includes(name) ? dayStart(text.value) : text.value])),
  );
  const place = computed<BindingPlace>(() => ({ sort: sort.value || undefined, before: pages.before.value, after: pages.after.value }));
  const isFiltered = computed(() => Object.keys(filter.value).length > 0);
  const isNewestFirst = computed(() => sort.value === '' || sort.value === 'newest');
  return { filter, place, pages, isFiltered, isNewestFirst };
}
