CREATE TABLE deposits (number bigint GENERATED ALWAYS AS IDENTITY, cents bigint NOT NULL);

CREATE FUNCTION check_deposit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.cents = 14 THEN
        RAISE EXCEPTION 'no account has so much' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER deposits_are_small AFTER INSERT ON deposits
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_deposit();
