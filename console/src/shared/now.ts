import { createSharedComposable, useNow } from '@vueuse/core';

/** The time, renewed every 15 seconds by one clock for all that show how long ago something was. */
export const useSharedNow = createSharedComposable(() => useNow({ interval: 15_000 }));
