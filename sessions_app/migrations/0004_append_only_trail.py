from django.db import migrations

# For each statement, so that an INSERT and a purge of many rows cost nothing. 42501 is insufficient_privilege.
POSTGRESQL = """
CREATE FUNCTION curfew_trail_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('curfew.purging', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit trail is append only' USING ERRCODE = '42501';
END $$;
CREATE TRIGGER curfew_trail_is_append_only BEFORE UPDATE OR DELETE ON sessions_app_sessionevent
    FOR EACH STATEMENT EXECUTE FUNCTION curfew_trail_is_append_only();
"""
SQLITE = (
    """CREATE TRIGGER curfew_trail_no_update BEFORE UPDATE ON sessions_app_sessionevent
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append only'); END""",
    """CREATE TRIGGER curfew_trail_no_delete BEFORE DELETE ON sessions_app_sessionevent WHEN NOT curfew_purging()
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append only'); END""",
)


def close(apps, schema_editor):
    """SQLite makes a table anew when it is altered, and forgets its triggers: such a migration ends with this again."""
    for statement in [POSTGRESQL] if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


def open_(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION curfew_trail_is_append_only() CASCADE")
    else:
        schema_editor.execute("DROP TRIGGER curfew_trail_no_update")
        schema_editor.execute("DROP TRIGGER curfew_trail_no_delete")


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0003_last_application_without_index")]

    operations = [migrations.RunPython(close, open_)]
