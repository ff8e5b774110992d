import { useI18n } from 'vue-i18n';
import { ApiProblem } from '@/api/problem';

/** Says a problem in the operator's language; what the server adds in English only stands where nothing better is known. */
export function useProblemText(): (error: unknown) => string {
  const { t, te, locale } = useI18n();
  return (error) => {
    if (!(error instanceof ApiProblem)) return t('problems.unexpected');
    const key = `problems.${error.code}`;
    const text = te(key, 'en') ? t(key, { seconds: error.retryAfterSeconds ?? 0 }) : t('problems.unexpected');
    const addsDetail = error.detail !== '' && (locale.value === 'en' || error.code === 'invalid_field');
    return addsDetail ? `${text} ${error.detail}` : text;
  };
}
