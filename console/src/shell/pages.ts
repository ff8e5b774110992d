import { computed } from 'vue';
import { useMay } from '@/api/permission';
import { PAGES } from '@/router';

/** The pages that whoever is signed in may see. */
export function usePages() {
  const may = useMay();
  return computed(() => PAGES.filter((page) => !('meta' in page) || may(page.meta.needs)));
}
