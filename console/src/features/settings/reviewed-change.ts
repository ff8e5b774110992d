import { computed, shallowRef } from 'vue';
import { useRehearsal, useSaveSettings, type Wanted } from './queries';

/** A change of settings that is looked at before it is made: what it would do comes from the server, and so does whether it still may. */
export function useReviewedChange(done: (wanted: Wanted) => void) {
  const wanted = shallowRef<Wanted | null>(null);
  const rehearsal = useRehearsal();
  const save = useSaveSettings();

  /** Shows what `next` would do to the settings of `version`; without one, to those that hold. */
  function review(next: Wanted, version?: number): void {
    wanted.value = next;
    save.reset();
    rehearsal.mutate({ wanted: next, version });
  }

  /** After somebody else's change, or a failure: what it would do now. */
  function again(): void {
    if (wanted.value) review(wanted.value);
  }

  async function confirm(): Promise<void> {
    const [asked, seen] = [wanted.value, rehearsal.data.value];
    if (!asked || !seen) return;
    const isDone = await save.mutateAsync({ wanted: asked, version: seen.version }).then(() => true, () => false);
    if (!isDone) return;
    close();
    done(asked);
  }

  /** What was wrong stays on the page, beside its field. */
  function close(): void {
    wanted.value = null;
  }

  function reset(): void {
    rehearsal.reset();
    save.reset();
  }

  const error = computed(() => save.error.value ?? rehearsal.error.value);
  return {
    wanted,
    isOpen: computed(() => wanted.value !== null),
    /** Not known while it is asked for. */
    changes: computed(() => (rehearsal.isPending.value ? undefined : rehearsal.data.value?.changes)),
    isBusy: save.isPending,
    error,
    review,
    again,
    confirm,
    close,
    reset,
  };
}
