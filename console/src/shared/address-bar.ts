import { computed, type WritableComputedRef } from 'vue';
import { useRoute, useRouter } from 'vue-router';

/** One filter that lives in the address bar, so that a view can be kept, sent and gone back to. */
export function useAddressFilter(name: string): WritableComputedRef<string> {
  const route = useRoute();
  const router = useRouter();
  return computed({
    get: () => String(route.query[name] ?? ''),
    set: (value) => {
      const rest = Object.fromEntries(Object.entries(route.query).filter(([key]) => key !== name && key !== 'before'));
      void router.replace({ query: value === '' ? rest : { ...rest, [name]: value } });
    },
  });
}

/** The pages of a list by its cursor; going back is the browser's going back. */
export function useAddressPages() {
  const route = useRoute();
  const router = useRouter();
  const before = computed(() => (route.query.before ? Number(route.query.before) : undefined));
  return {
    before,
    isFirst: computed(() => before.value === undefined),
    older: (next: number) => router.push({ query: { ...route.query, before: String(next) } }),
    newest: () => router.push({ query: Object.fromEntries(Object.entries(route.query).filter(([key]) => key !== 'before')) }),
  };
}
