import { computed } from 'vue';
import { useI18n } from 'vue-i18n';
import { ApiProblem } from '@/api/problem';
import { useProblemText } from '@/shared/problem-text';
import { notDone, said } from '@/shared/undo';
import { useChangeBinding, useRenewBindings, type Binding, type BindingEdit } from './queries';

/** Changes of bindings that say what was done, and offer to take it back. */
export function useUndoableChange() {
  const { t } = useI18n();
  const problemText = useProblemText();
  const { mutateAsync, isPending, error, reset } = useChangeBinding();
  const renew = useRenewBindings();

  /** Whether it was done. What takes it back holds for the binding as this change leaves it. */
  async function change(seen: Pick<Binding, 'id' | 'version'>, edit: BindingEdit, undo?: BindingEdit): Promise<boolean> {
    let changed: Binding;
    try {
      changed = await mutateAsync({ seen, edit });
    } catch {
      return false;
    }
    const takeBack = (back: BindingEdit) => mutateAsync({ seen: changed, edit: back }).catch((cause: unknown) => notDone(problemText(cause)));
    said(t(`bindings.done.${edit.kind}`), undo && { label: t('action.undo'), run: () => takeBack(undo) });
    return true;
  }

  /** After somebody else's change: shows the binding as it is now. */
  function reload(): void {
    reset();
    renew();
  }

  const isOutdated = computed(() => error.value instanceof ApiProblem && error.value.code === 'binding_changed');
  return { change, isPending, error, reset, reload, isOutdated };
}
