import { useMutation, useQuery, useQueryClient } from '@tanstack/vue-query';
import type { Ref } from 'vue';
import { answer, api, type Schemas } from '@/api/client';

export type Setting = Schemas['Setting'];
export type SettingsOutcome = Schemas['SettingsOutcome'];
export type PastChange = Schemas['Page_PastChangeView']['items'][number];

/** What is wanted of the settings: new values, where null gives one back to file and default, or all as they were in a version. */
export type Wanted = { values: Record<string, string | null> } | { to: number };

const PAGE_ROWS = 20;

export const useSettings = () =>
  useQuery({ queryKey: ['settings'], queryFn: ({ signal }) => answer(api.GET('/admin/api/settings', { signal })), refetchOnWindowFocus: false });

export const useSettingsHistory = (before: Ref<number | undefined>) =>
  useQuery({
    queryKey: ['settings', 'history', before],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/settings/history', { params: { query: { before: before.value, limit: PAGE_ROWS } }, signal })),
    placeholderData: (previous) => previous,
  });

function send(wanted: Wanted, version: number, dry_run: boolean): Promise<SettingsOutcome> {
  const body = { ...wanted, version, dry_run };
  return 'to' in body ? answer(api.POST('/admin/api/settings/rollback', { body })) : answer(api.PUT('/admin/api/settings', { body }));
}

/** Asks the server what a change would do, against the settings as they are at that moment. */
export function useRehearsal() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ wanted, version }: { wanted: Wanted; version?: number }) => {
      const seen = version ?? (await answer(api.GET('/admin/api/settings'))).version;
      const outcome = await send(wanted, seen, true);
      queries.setQueryData(['settings'], { version: outcome.version, items: outcome.items });
      return outcome;
    },
  });
}

/** Changes the settings, if nobody else did since `version`. */
export function useSaveSettings() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ wanted, version }: { wanted: Wanted; version: number }) => send(wanted, version, false),
    onSuccess: ({ version, items }) => {
      queries.setQueryData(['settings'], { version, items });
      return queries.invalidateQueries({ queryKey: ['settings', 'history'] });
    },
  });
}
