CREATE TABLE noisy (number bigint GENERATED ALWAYS AS IDENTITY, cents bigint NOT NULL, behind bigint);
-- What the server says beside its answers comes between them.
CREATE FUNCTION speak() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'one';
    RAISE NOTICE 'two';
    RAISE NOTICE 'three';
    RETURN NEW;
END $$;
CREATE TRIGGER spoken BEFORE INSERT ON noisy FOR EACH ROW EXECUTE FUNCTION speak();
