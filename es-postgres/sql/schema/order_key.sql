-- What orders a field of a row: numbers, then text by its bytes, as the function's results are ordered by theirs. True and
-- false are 1 and 0. NULL for what does not compare: null, arrays, objects, and numbers beyond those of double precision.
--
--     01 · the number as a float, its bits turned so that they order · what a whole number is above that float, plus 1024
--     02 · the text
--
-- An index holds the first 1024 bytes of text: substring(order_key(…) for 1025).
CREATE FUNCTION "es".order_key(data json, path text[]) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    field    json := data;
    name     text;
    content  text;
    has_nul  boolean := strpos(data::text, E'\\u0000') > 0;
    mark     text;
    whole    numeric;
    nearest  double precision;
    above    integer := 0;
    bits     bigint;
BEGIN
    -- PostgreSQL cannot look into JSON with a NUL in it. A mark and `0` take its place, where no backslash stands before it, and
    -- a mark and `1` that of the mark. Written with E, as a session may read a backslash without it as an escape.
    IF has_nul THEN
        mark := chr(57345);
        field := replace(replace(replace(replace(replace(data::text, E'\\\\', E'\\u005c'),
                     mark, mark || '1'), E'\\ue001', mark || '1'), E'\\uE001', mark || '1'), E'\\u0000', mark || '0')::json;
    END IF;
    IF strpos(field::text, E'\\u') = 0 THEN
        FOREACH name IN ARRAY path LOOP
            field := field -> name;
        END LOOP;
        content := field #>> '{}';
    ELSE
        -- Half a surrogate pair is no text either. A block with a handler costs more than all else here.
        BEGIN
            FOREACH name IN ARRAY path LOOP
                field := field -> name;
            END LOOP;
            content := field #>> '{}';
        EXCEPTION WHEN untranslatable_character OR invalid_text_representation THEN
            RETURN NULL;
        END;
    END IF;
    CASE json_typeof(field)
    WHEN 'string' THEN
        IF has_nul AND strpos(content, mark) > 0 THEN
            RETURN (SELECT E'\\x02'::bytea || string_agg(convert_to(replace(p.part, mark || '1', mark), 'UTF8'), E'\\x00' ORDER BY p.number)
                      FROM unnest(string_to_array(content, mark || '0')) WITH ORDINALITY AS p(part, number));
        END IF;
        RETURN E'\\x02'::bytea || convert_to(content, 'UTF8');
    WHEN 'boolean' THEN
        nearest := CASE content WHEN 'true' THEN 1 ELSE 0 END;
    WHEN 'number' THEN
        IF content ~ '^-?[0-9]{1,18}$' THEN
            bits := content::bigint;
            nearest := bits;
            above := bits - nearest::bigint;
        ELSE
            -- Zero is added because there are two of them.
            IF content !~ '[eE]' AND length(content) < 300 THEN
                nearest := content::double precision + 0;
            ELSE
                BEGIN
                    nearest := content::double precision + 0;
                EXCEPTION WHEN numeric_value_out_of_range THEN
                    RETURN NULL;
                END;
            END IF;
            IF content ~ '^-?[0-9]{19}$' THEN
                whole := content::numeric;
                IF whole BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
                    above := whole - CASE WHEN nearest < 9223372036854775808
                                          THEN nearest::bigint ELSE 9223372036854775808 END;
                END IF;
            END IF;
        END IF;
    ELSE
        RETURN NULL;
    END CASE;
    bits := ('x' || encode(float8send(nearest), 'hex'))::bit(64)::bigint;
    bits := CASE WHEN bits < 0 THEN ~bits ELSE bits # (1::bigint << 63) END;
    RETURN E'\\x01'::bytea || int8send(bits) || int2send((above + 1024)::smallint);
END $$;
