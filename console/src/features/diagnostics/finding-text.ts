import { useI18n } from 'vue-i18n';
import type { RouteLocationRaw } from 'vue-router';
import type { Finding } from './queries';

const RANKS = { problem: 0, warning: 1, info: 2 };

/** What needs doing first, otherwise in the server's order. */
export const byUrgency = (findings: Finding[]): Finding[] => [...findings].sort((a, b) => RANKS[a.severity] - RANKS[b.severity]);

/** Where in the console something can be done about it, or more be seen. */
export const PLACES: Record<string, RouteLocationRaw> = {
  rules: { name: 'settings' },
  alerts: { name: 'alerts', query: { tab: 'channels' } },
  bound_addresses: { name: 'diagnostics', query: { tab: 'way' } },
  trusted_proxies: { name: 'diagnostics', query: { tab: 'way' } },
};

/** Which of the parts it is stands in the server's text alone. */
const PART = 'part';

export interface FindingWords {
  title: string;
  text: string;
  todo: string;
  /** The server's own English text, where `text` is the console's and says less. */
  original: string;
}

/** What was found, in the operator's language: the server's words in English, and the console's own by the finding's name elsewhere. */
export function useFindingWords(): (finding: Finding) => FindingWords {
  const { t, te, locale } = useI18n();
  return (finding) => {
    const key = `findings.${finding.name}`;
    const title = te(`${key}.title`, 'en') ? t(`${key}.title`) : finding.name;
    if (locale.value === 'en' || !te(`${key}.title`)) return { title, text: finding.text, todo: finding.what_to_do, original: '' };
    return {
      title,
      text: t(`${key}.${finding.ok ? 'good' : 'bad'}`),
      todo: finding.what_to_do === '' ? '' : t(`${key}.todo`),
      original: finding.ok && finding.name !== PART ? '' : [finding.text, finding.what_to_do].join(' ').trim(),
    };
  };
}
