import { useQuery } from '@tanstack/vue-query';
import { computed } from 'vue';
import { answer, api } from './client';
import { useSession } from './session';

/** Who is signed in, and what they may do. */
export const useMe = () => {
  const session = useSession();
  return useQuery({
    queryKey: ['me', computed(() => session.account?.name)],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/session', { signal })),
    staleTime: 60_000,
  });
};

/** Whether a control is offered. The server decides anew at each call; this only spares a refusal. */
export function useMay(): (permission: string) => boolean {
  const { data } = useMe();
  return (permission) => data.value?.permissions.includes(permission) ?? false;
}
