import { useMediaQuery } from '@vueuse/core';
import { defineStore } from 'pinia';
import { computed, ref, watchEffect } from 'vue';

export const THEMES = ['light', 'dark', 'system'] as const;
export type Theme = (typeof THEMES)[number];

const KEPT_AS = 'sentinel.theme';

export const useTheme = defineStore('theme', () => {
  const kept = localStorage.getItem(KEPT_AS);
  const chosen = ref<Theme>(THEMES.find((theme) => theme === kept) ?? 'system');
  const systemIsDark = useMediaQuery('(prefers-color-scheme: dark)');
  const isDark = computed(() => (chosen.value === 'system' ? systemIsDark.value : chosen.value === 'dark'));
  watchEffect(() => {
    document.documentElement.classList.toggle('dark', isDark.value);
    localStorage.setItem(KEPT_AS, chosen.value);
  });
  return { chosen, isDark };
});
