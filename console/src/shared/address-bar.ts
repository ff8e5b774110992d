import { refDebounced } from '@vueuse/core';
import { computed, ref, watch, type Ref, type WritableComputedRef } from 'vue';
import { useRoute, useRouter } from 'vue-router';

/** What names a page of a list: the cursor of either kind. */
const CURSORS = ['before', 'after'];
/** For so long nothing is typed before what was typed is looked for. */
const CALM_MS = 350;

/** One filter that lives in the address bar, so that a view can be kept, sent and gone back to. With another filter, a list begins anew. */
export function useAddressFilter(name: string, { keepsPage = false } = {}): WritableComputedRef<string> {
  const route = useRoute();
  const router = useRouter();
  return computed({
    get: () => String(route.query[name] ?? ''),
    set: (value) => {
      const left = keepsPage ? [name] : [name, ...CURSORS];
      const rest = Object.fromEntries(Object.entries(route.query).filter(([key]) => !left.includes(key)));
      void router.replace({ query: value === '' ? rest : { ...rest, [name]: value } });
    },
  });
}

/** What is typed into the field of a filter; it is looked for once the typing has calmed. */
export function useTyped(filter: Ref<string>): Ref<string> {
  const typed = ref(filter.value);
  watch(refDebounced(typed, CALM_MS), (text) => {
    if (text.trim() !== filter.value) filter.value = text.trim();
  });
  watch(filter, (text) => {
    if (text !== typed.value.trim()) typed.value = text;
  });
  return typed;
}

/** The pages of a list by its cursor, a number or a text; going back is the browser's going back. */
export function useAddressPages() {
  const route = useRoute();
  const router = useRouter();
  const before = computed(() => (route.query.before ? Number(route.query.before) : undefined));
  const after = computed(() => (route.query.after ? String(route.query.after) : undefined));
  const rest = () => Object.fromEntries(Object.entries(route.query).filter(([key]) => !CURSORS.includes(key)));
  return {
    before,
    after,
    isFirst: computed(() => before.value === undefined && after.value === undefined),
    older: (next: number | string) => router.push({ query: { ...rest(), ...(typeof next === 'number' ? { before: String(next) } : { after: next }) } }),
    newest: () => router.push({ query: rest() }),
  };
}
