-- Ed25519 keys show their public half, which is all that a receiver has to know.
ALTER TABLE "herald"."signing_keys" DROP CONSTRAINT "signing_keys_algorithm_is_known";--> statement-breakpoint
ALTER TABLE "herald"."signing_keys" ADD COLUMN "public_key" text;--> statement-breakpoint
ALTER TABLE "herald"."signing_keys" ADD CONSTRAINT "signing_keys_asymmetric_has_public_key" CHECK (("herald"."signing_keys"."algorithm" = 'ED25519') = ("herald"."signing_keys"."public_key" is not null));--> statement-breakpoint
ALTER TABLE "herald"."signing_keys" ADD CONSTRAINT "signing_keys_algorithm_is_known" CHECK ("herald"."signing_keys"."algorithm" in ('HMAC_SHA256', 'ED25519'));;
--> statement-breakpoint

-- Levels of nesting of a JSON text, 0 for a scalar. What is not JSON gets some number, and is refused elsewhere.
create function herald.json_depth(data text) returns integer language sql immutable
as $$
  select coalesce(max(l.level), 0)::integer
    from (
      select sum(case when b.bracket in ('[', '{') then 1 else -1 end) over (order by b.ordinality) as level
        from regexp_split_to_table(
          regexp_replace(regexp_replace(data, '"(?:[^"\\]|\\.)*"', '', 'g'), '[^][{}]+', '', 'g'),
          '') with ordinality b (bracket, ordinality)
    ) l
$$;
--> statement-breakpoint

-- The same rules as before, and those of domain/event.ts that were missing for callers through SQL: nesting, the
-- characters of a source, and trace headers that a request can carry. A stored event can be delivered.
create or replace function herald.check_new_events(asked herald.new_event[]) returns void language plpgsql stable
as $$
declare
  wrong text;
begin
  select case
      when e.type is null or char_length(e.type) not between 1 and 255
        then 'expected type to have 1 to 255 characters'
      when e.type ~ '[\u0001-\u001f\u007f-\u009f]' then 'expected type to be free of control characters'
      when octet_length(e.data) > 262144
        then format('expected data of at most 262144 bytes, got %s', octet_length(e.data))
      -- Herald's own callers have been told so before; counting brackets is cheap, counting levels is not.
      when e.origin = 'SQL' and length(e.data) - length(translate(e.data, '[{', '')) > 200
          and herald.json_depth(e.data) > 200
        then format('expected data nested at most 200 levels, got %s', herald.json_depth(e.data))
      when e.delay < 0 or e.delay = 'NaN' then format('expected delay to be 0 or more seconds, got %s', e.delay)
      when extract(epoch from coalesce(e."timestamp", now()) - now()) + e.delay > 3650 * 86400.0
        then 'expected delivery to be due within 3650 days from now'
      when e.idempotency_key !~ '^[!-~]{1,255}$'
        then 'expected idempotency_key to be 1 to 255 visible ASCII characters'
      when char_length(e.source) > 2048 or e.source !~ '^[][A-Za-z0-9_.~:/?#@!$&''()*+,;=%-]+$'
        then 'expected source to be a URI reference of 1 to 2048 characters'
      when e.traceparent !~ '^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$'
        then 'expected traceparent to be a W3C Trace Context header, version 00'
      when char_length(e.tracestate) > 512 or e.tracestate ~ '[^ -~\t\u0080-\u00ff]'
        then 'expected tracestate to be at most 512 characters that a header can hold'
    end
    into wrong
    from unnest(asked) e
    order by 1 nulls last
    limit 1;
  if wrong is not null then
    raise exception using errcode = '22023', message = 'herald: ' || wrong;
  end if;
  perform count(e.data::json) from unnest(asked) e;
end
$$;
--> statement-breakpoint
revoke execute on function herald.json_depth from public;
