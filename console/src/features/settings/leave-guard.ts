import { useEventListener } from '@vueuse/core';
import { onBeforeRouteLeave } from 'vue-router';

/** Asks before what was typed is lost. The text is plain: the browser's own dialog shows it. */
export function useLeaveGuard(isDirty: () => boolean, question: () => string): void {
  onBeforeRouteLeave(() => !isDirty() || window.confirm(question()));
  useEventListener(window, 'beforeunload', (event) => { if (isDirty()) event.preventDefault(); });
}
