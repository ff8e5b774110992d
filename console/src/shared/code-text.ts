import { useI18n } from 'vue-i18n';

type Family = 'reasons' | 'outcomes' | 'rules' | 'severities' | 'alert_states' | 'delivery_states' | 'roles' | 'sources' | 'actions' | 'archive_reasons';

/** Words for a code of the API; a code that this console is too old to know stands for itself. */
export function useCodeText(): (family: Family, code: string) => string {
  const { t, te } = useI18n();
  return (family, code) => (te(`${family}.${code}`, 'en') ? t(`${family}.${code}`) : code);
}
