/// <reference types="vitest/config" />
import { fileURLToPath, URL } from 'node:url';
import vueI18n from '@intlify/unplugin-vue-i18n/vite';
import vue from '@vitejs/plugin-vue';
import { ElementPlusResolver } from 'unplugin-vue-components/resolvers';
import components from 'unplugin-vue-components/vite';
import { defineConfig } from 'vite';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Where `npm run dev` finds the API. */
const server = process.env.SENTINEL_ADMIN_URL ?? 'http://127.0.0.1:7001';

export default defineConfig({
  base: '/admin/ui/',
  resolve: { alias: { '@': at('./src') } },
  plugins: [
    vue(),
    // The messages are compiled here, so that the page never turns text into code.
    vueI18n({ include: at('./src/i18n/locales/*.json'), runtimeOnly: true, strictMessage: true }),
    components({ dts: 'src/components.d.ts', dirs: [], resolvers: [ElementPlusResolver()] }),
  ],
  build: { outDir: 'dist/app', emptyOutDir: true, manifest: true, target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { '/admin/api': server } },
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts'], server: { deps: { inline: ['element-plus'] } } },
});
