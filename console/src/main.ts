import { QueryClient, VueQueryPlugin } from '@tanstack/vue-query';
import { createPinia } from 'pinia';
import { createApp } from 'vue';
import App from './App.vue';
import { ApiProblem } from './api/problem';
import { useSession } from './api/session';
import './design/tokens.css';
import 'element-plus/theme-chalk/base.css';
import 'element-plus/theme-chalk/el-message.css';
import './design/base.css';
import { i18n, setLanguage, startingLanguage } from './i18n';
import { router } from './router';

/** A refused call is not sent again; one that did not arrive is, twice. */
const RETRIES_MAX = 2;

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (count, error) => count < RETRIES_MAX && error instanceof ApiProblem && error.status >= 500,
    },
  },
});

const app = createApp(App).use(createPinia()).use(i18n).use(VueQueryPlugin, { queryClient: queries });
await Promise.all([setLanguage(startingLanguage()), useSession().restore()]);
app.use(router).mount('#app');
