import { useI18n } from 'vue-i18n';
import type { Setting } from './queries';

/** A setting's help: the server's in English, the console's own in other languages where it has one. */
export function useSettingHelp(): (setting: Setting) => string {
  const { t, te, locale } = useI18n();
  return (setting) => {
    const key = `setting_help.${setting.name}`;
    return locale.value !== 'en' && te(key) ? t(key) : setting.help;
  };
}
