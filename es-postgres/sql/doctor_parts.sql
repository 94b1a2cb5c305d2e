SELECT p.part
  FROM (VALUES
           ('the primary key of recorded_events (position)', EXISTS (
               SELECT FROM pg_index AS i WHERE i.indrelid = to_regclass('"es".recorded_events') AND i.indisprimary AND i.indisvalid)),
           ('the unique constraint of recorded_events (stream, version)', EXISTS (
               SELECT FROM pg_index AS i JOIN pg_constraint AS c ON c.conindid = i.indexrelid
                WHERE i.indrelid = to_regclass('"es".recorded_events') AND c.contype = 'u' AND i.indisvalid)),
           ('the unique index recorded_events_append', EXISTS (
               SELECT FROM pg_index AS i
                WHERE i.indexrelid = to_regclass('"es".recorded_events_append') AND i.indisunique AND i.indisvalid)),
           ('the unique constraint of streams (category, stream_id)', EXISTS (
               SELECT FROM pg_index AS i JOIN pg_constraint AS c ON c.conindid = i.indexrelid
                WHERE i.indrelid = to_regclass('"es".streams') AND c.contype = 'u' AND i.indisvalid)),
           ('the primary key of idempotency_keys', EXISTS (
               SELECT FROM pg_index AS i WHERE i.indrelid = to_regclass('"es".idempotency_keys') AND i.indisprimary AND i.indisvalid)),
           ('the unique constraint of idempotency_keys (key)', EXISTS (
               SELECT FROM pg_index AS i JOIN pg_constraint AS c ON c.conindid = i.indexrelid
                WHERE i.indrelid = to_regclass('"es".idempotency_keys') AND c.contype = 'u' AND i.indisvalid)),
           ('the function forget_keys', EXISTS (
               SELECT FROM pg_proc AS f WHERE f.pronamespace = to_regnamespace(quote_ident('es')) AND f.proname = 'forget_keys')),
           ('the key of leases (name, epoch)', EXISTS (
               SELECT FROM pg_index AS i JOIN pg_constraint AS c ON c.conindid = i.indexrelid
                WHERE i.indrelid = to_regclass('"es".leases') AND c.contype = 'u' AND i.indisvalid)),
           ('the primary key of checkpoints', EXISTS (
               SELECT FROM pg_index AS i WHERE i.indrelid = to_regclass('"es".checkpoints') AND i.indisprimary AND i.indisvalid)),
           ('the primary key of parked', EXISTS (
               SELECT FROM pg_index AS i WHERE i.indrelid = to_regclass('"es".parked') AND i.indisprimary AND i.indisvalid)),
           ('the function commit_batch', EXISTS (
               SELECT FROM pg_proc AS f WHERE f.pronamespace = to_regnamespace(quote_ident('es')) AND f.proname = 'commit_batch')),
           ('the function move_checkpoint', EXISTS (
               SELECT FROM pg_proc AS f WHERE f.pronamespace = to_regnamespace(quote_ident('es')) AND f.proname = 'move_checkpoint')),
           ('the function is_level', EXISTS (
               SELECT FROM pg_proc AS f WHERE f.pronamespace = to_regnamespace(quote_ident('es')) AND f.proname = 'is_level')),
           ('the function take_in', EXISTS (
               SELECT FROM pg_proc AS f WHERE f.pronamespace = to_regnamespace(quote_ident('es')) AND f.proname = 'take_in')),
           ('the function lock_rows', EXISTS (
               SELECT FROM pg_proc AS f WHERE f.pronamespace = to_regnamespace(quote_ident('es')) AND f.proname = 'lock_rows')),
           ('the function take_in_rows', EXISTS (
               SELECT FROM pg_proc AS f WHERE f.pronamespace = to_regnamespace(quote_ident('es')) AND f.proname = 'take_in_rows')),
           ('the function append', EXISTS (
               SELECT FROM pg_proc AS f WHERE f.pronamespace = to_regnamespace(quote_ident('es')) AND f.proname = 'append')),
           ('the function append_in_turn', EXISTS (
               SELECT FROM pg_proc AS f WHERE f.pronamespace = to_regnamespace(quote_ident('es')) AND f.proname = 'append_in_turn')),
           ('the function lock_log', EXISTS (
               SELECT FROM pg_proc AS f WHERE f.pronamespace = to_regnamespace(quote_ident('es')) AND f.proname = 'lock_log')),
           ('the function resolve', EXISTS (
               SELECT FROM pg_proc AS f WHERE f.pronamespace = to_regnamespace(quote_ident('es')) AND f.proname = 'resolve'))
       ) AS p(part, is_there)
 WHERE NOT p.is_there
