import { useI18n } from 'vue-i18n';

/** Families of words whose keys are put together from a code of the API or of the address bar. */
export const FAMILIES = ['reasons', 'outcomes', 'rules', 'severities', 'alert_states', 'delivery_states', 'roles', 'sources', 'actions', 'archive_reasons', 'periods', 'verdicts', 'members', 'binding_states', 'truths'] as const;
export type Family = (typeof FAMILIES)[number];

/** Words for a code of the API; a code that this console is too old to know stands for itself. */
export function useCodeText(): (family: Family, code: string) => string {
  const { t, te } = useI18n();
  return (family, code) => (te(`${family}.${code}`, 'en') ? t(`${family}.${code}`) : code);
}
