import { useMutation, useQuery } from '@tanstack/vue-query';
import { answer, api, type Schemas } from '@/api/client';
import { ApiProblem } from '@/api/problem';

export type SeenAddress = Schemas['SeenAddress'];
export type Explanation = Schemas['ExplanationView'];
export type AskedRequest = Schemas['AskedRequest'];
export type Finding = Schemas['Finding'];
export type TriedAddress = Schemas['TriedAddress'];

/** The server looks for one at a time; whoever comes meanwhile is told to wait. */
export const isBusy = (error: unknown) => error instanceof ApiProblem && error.code === 'store_busy';

export const useSeenAddress = () =>
  useQuery({ queryKey: ['diagnostics', 'address'], queryFn: ({ signal }) => answer(api.GET('/admin/api/diagnostics/address', { signal })) });

/** It asks every part of the installation, so it is not asked anew for each look at the window. */
export const useChecks = () =>
  useQuery({
    queryKey: ['diagnostics', 'checks'],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/diagnostics/checks', { signal })),
    staleTime: 60_000,
    refetchOnWindowFocus: false,
  });

/** Opens connections, so it is only done when asked for. */
export const useTriedUpstream = () => useMutation({ mutationFn: () => answer(api.POST('/admin/api/diagnostics/upstream')) });

/** What is asked may hold a key in clear: nothing of it stays in memory once the page is left. */
export const useExplanation = () =>
  useMutation({ mutationFn: (body: AskedRequest) => answer(api.POST('/admin/api/diagnostics/explain', { body })), gcTime: 0 });
