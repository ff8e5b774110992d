import { useMediaQuery } from '@vueuse/core';

/** Whether the page is as narrow as a phone's. */
export const useIsNarrow = () => useMediaQuery('(max-width: 760px)');
