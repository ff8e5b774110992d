import { watch } from 'vue';
import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router';
import { useSession } from './api/session';
import { i18n } from './i18n';

/** The pages of the navigation, in its order; `needs` names the permission without which there is nothing to see. */
export const PAGES = [
  { name: 'dashboard', path: 'dashboard', component: () => import('./features/dashboard/DashboardPage.vue') },
  { name: 'bindings', path: 'bindings', component: () => import('./features/bindings/BindingsPage.vue') },
  { name: 'intercepts', path: 'intercepts', component: () => import('./features/intercepts/InterceptsPage.vue') },
  { name: 'alerts', path: 'alerts', component: () => import('./features/alerts/AlertsPage.vue') },
  { name: 'audit', path: 'audit', component: () => import('./features/audit/AuditPage.vue'), meta: { needs: 'audit.read' } },
  { name: 'diagnostics', path: 'diagnostics', component: () => import('./features/diagnostics/DiagnosticsPage.vue'), meta: { needs: 'diagnostics.run' } },
  { name: 'settings', path: 'settings', component: () => import('./features/settings/SettingsPage.vue') },
  { name: 'access', path: 'access', component: () => import('./features/access/AccessPage.vue') },
] as const satisfies readonly (RouteRecordRaw & { name: string })[];

export type PageName = (typeof PAGES)[number]['name'];

export const router = createRouter({
  history: createWebHistory('/admin/ui/'),
  routes: [
    { path: '/sign-in', name: 'sign-in', component: () => import('./features/sign-in/SignInPage.vue') },
    {
      path: '/',
      component: () => import('./shell/AppShell.vue'),
      redirect: { name: 'dashboard' },
      children: [
        ...PAGES,
        { path: ':rest(.*)*', name: 'not-found', component: () => import('./shell/NotFoundPage.vue') },
      ],
    },
  ],
});

router.beforeEach((to) => {
  const isOut = useSession().state === 'signed_out';
  if (isOut && to.name !== 'sign-in') return { name: 'sign-in', query: { to: to.fullPath } };
  if (!isOut && to.name === 'sign-in') return { name: 'dashboard' };
  return true;
});

router.afterEach((to) => {
  watch(
    () => i18n.global.locale.value,
    () => (document.title = `${i18n.global.t(`pages.${String(to.name)}`)} · Key-IP Sentinel`),
    { immediate: true, once: true },
  );
});
