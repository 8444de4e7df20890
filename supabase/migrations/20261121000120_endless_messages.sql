-- A message that somebody else wrote may say that it expires at infinity. It never does then, which is what no time says; how long it
-- has left cannot be computed, and that would keep its receiver from all of its mail.
create or replace function troupe.limit_expiry() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.expires_at := case when new.expires_at = '-infinity' then troupe.now() end;
  return new;
end $$;
drop trigger if exists limit_expiry on public.agent_messages;
create trigger limit_expiry before insert on public.agent_messages
  for each row when (not isfinite(new.expires_at))
  execute function troupe.limit_expiry();

update public.agent_deliveries set expires_at = null where expires_at = 'infinity';
update public.agent_messages set expires_at = null where expires_at = 'infinity';

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261121000120' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';
