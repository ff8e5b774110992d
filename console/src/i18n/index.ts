import { createI18n } from 'vue-i18n';
import en from './locales/en.json';

export const LANGUAGES = { en: 'English', 'zh-CN': '简体中文' } as const;
export type Language = keyof typeof LANGUAGES;

const KEPT_AS = 'sentinel.language';

export const i18n = createI18n({
  legacy: false,
  locale: 'en' as Language,
  fallbackLocale: 'en',
  messages: { en } as Record<string, typeof en>,
});

/** What was chosen before, or what the browser asks for. */
export function preferredLanguage(kept: string | null, asked: readonly string[]): Language {
  if (kept === 'en' || kept === 'zh-CN') return kept;
  const known = asked.find((tag) => /^(zh|en)\b/i.test(tag));
  return known?.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en';
}

export function startingLanguage(): Language {
  return preferredLanguage(localStorage.getItem(KEPT_AS), navigator.languages);
}

/** Loads the language's texts if need be, and keeps the choice. */
export async function setLanguage(language: Language): Promise<void> {
  if (language === 'zh-CN' && !i18n.global.availableLocales.includes(language)) {
    const messages = await import('./locales/zh-CN.json');
    i18n.global.setLocaleMessage(language, messages.default as unknown as typeof en);
  }
  i18n.global.locale.value = language;
  document.documentElement.lang = language;
  localStorage.setItem(KEPT_AS, language);
}
