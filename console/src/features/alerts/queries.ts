import { useMutation, useQuery, useQueryClient } from '@tanstack/vue-query';
import type { Ref } from 'vue';
import { answer, api, type Schemas } from '@/api/client';

export type Alert = Schemas['Page_AlertView']['items'][number];
export type Delivery = Schemas['Page_DeliveryView']['items'][number];

export const useAlerts = (state: Ref<string>, before: Ref<number | undefined>) =>
  useQuery({
    queryKey: ['alerts', state, before],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/alerts', { params: { query: { state: state.value || undefined, before: before.value } }, signal })),
    placeholderData: (previous) => previous,
    refetchInterval: 15_000,
  });

export const useDeliveries = (state: Ref<string>, before: Ref<number | undefined>) =>
  useQuery({
    queryKey: ['deliveries', state, before],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/alerts/deliveries', { params: { query: { state: state.value || undefined, before: before.value } }, signal })),
    placeholderData: (previous) => previous,
    refetchInterval: 15_000,
  });

export const useChannels = () =>
  useQuery({ queryKey: ['channels'], queryFn: ({ signal }) => answer(api.GET('/admin/api/alerts/channels', { signal })) });

export function useRetryDelivery() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (id: number) => answer(api.POST('/admin/api/alerts/deliveries/retry', { body: { id } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['deliveries'] }),
  });
}

export const useTestChannel = () =>
  useMutation({ mutationFn: (channel: string) => answer(api.POST('/admin/api/alerts/test', { body: { channel } })) });
