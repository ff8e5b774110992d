import { useMutation, useQuery, useQueryClient } from '@tanstack/vue-query';
import { answer, api, type Schemas } from '@/api/client';

export type Administrator = Schemas['Page_AdministratorView']['items'][number];
export const ROLES = ['viewer', 'operator', 'owner'] as const;

export const useSessions = () => useQuery({ queryKey: ['sessions'], queryFn: ({ signal }) => answer(api.GET('/admin/api/sessions', { signal })) });
export const useAdministrators = () => useQuery({ queryKey: ['administrators'], queryFn: ({ signal }) => answer(api.GET('/admin/api/administrators', { signal })) });
export const useTokens = () => useQuery({ queryKey: ['tokens'], queryFn: ({ signal }) => answer(api.GET('/admin/api/tokens', { signal })) });

/** A call that changes a list, which is asked anew after it. */
function useChange<V, R>(list: string, mutationFn: (variables: V) => Promise<R>) {
  const queries = useQueryClient();
  return useMutation({ mutationFn, onSuccess: () => queries.invalidateQueries({ queryKey: [list] }) });
}

const at = (id: number) => ({ params: { path: { id } } });

export const useEndSession = () =>
  useChange('sessions', (id: string) => answer(api.DELETE('/admin/api/sessions/{id}', { params: { path: { id } } })));
export const useAddAdministrator = () =>
  useChange('administrators', (body: Schemas['AdministratorAddition']) => answer(api.POST('/admin/api/administrators', { body })));
export const useChangeAccess = () =>
  useChange('administrators', ({ id, ...body }: { id: number } & Schemas['AccessChange']) => answer(api.PATCH('/admin/api/administrators/{id}', { ...at(id), body })));
export const useResetPassword = () =>
  useChange('administrators', ({ id, password }: { id: number; password: string }) => answer(api.POST('/admin/api/administrators/{id}/reset-password', { ...at(id), body: { password } })));
export const useResetSecondFactor = () =>
  useChange('administrators', (id: number) => answer(api.POST('/admin/api/administrators/{id}/reset-second-factor', at(id))));
export const useRemoveAdministrator = () =>
  useChange('administrators', (id: number) => answer(api.DELETE('/admin/api/administrators/{id}', at(id))));
export const useMakeToken = () =>
  useChange('tokens', (body: Schemas['TokenAddition']) => answer(api.POST('/admin/api/tokens', { body })));
export const useRemoveToken = () =>
  useChange('tokens', (id: number) => answer(api.DELETE('/admin/api/tokens/{id}', at(id))));

export const useChangePassword = () =>
  useChange('sessions', (body: Schemas['PasswordChange']) => answer(api.PUT('/admin/api/account/password', { body })));
export const useOfferSecondFactor = () => useMutation({ mutationFn: () => answer(api.POST('/admin/api/account/second-factor')) });
export const useConfirmSecondFactor = () =>
  useChange('me', (otp: string) => answer(api.POST('/admin/api/account/second-factor/confirm', { body: { otp } })));
export const useDropSecondFactor = () =>
  useChange('me', (password: string) => answer(api.DELETE('/admin/api/account/second-factor', { body: { password } })));
