import { useI18n } from 'vue-i18n';

/** Stands for a hint where nothing of the key may be shown, or nobody knows the key. */
const NOTHING_SHOWN = ['', '…'];

/** Whether a key's hint tells it from others. */
export const tellsKey = (hint: string | null | undefined): hint is string => !NOTHING_SHOWN.includes(hint ?? '');

/** What a key is called: its hint, or the number of its binding; null where a request had none. */
export function useKeyName(): (hint: string | null | undefined, id?: number | null) => string {
  const { t } = useI18n();
  return (hint, id) => {
    if (tellsKey(hint)) return hint;
    if (hint === null || hint === undefined) return t('keys.none');
    return id ? t('keys.by_number', { id }) : t('keys.no_hint');
  };
}
