"""The record

Revision 0001, follows .
"""

import sqlalchemy as sa
from alembic import op

import sc_stim.models.base as types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("number", types.BigKey, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject_kind", sa.String(length=30), nullable=True),
        sa.Column("subject", sa.String(length=60), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("encoding", sa.Integer(), nullable=False),
        sa.Column("previous_mac", sa.LargeBinary(length=32), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
        sa.UniqueConstraint("clinic_id", "number", name=op.f("uq_audit_entry_clinic_id_number")),
    )
    op.create_table(
        "audit_head",
        sa.Column("clinic_id", types.BigKey, autoincrement=False, nullable=False),
        sa.Column("number", types.BigKey, nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.Column("seal", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "clinic",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("subdivision", sa.String(length=10), nullable=True),
        sa.Column("phone", sa.String(length=40), nullable=True),
        sa.Column("pharmacy_lead_days", sa.Integer(), nullable=False),
        sa.Column("refill_margin_days", sa.Integer(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinic")),
        sa.UniqueConstraint("name", name=op.f("uq_clinic_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_clinic_public_id")),
    )
    op.create_table(
        "device_event",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=True),
        sa.Column("detail", types.Json, nullable=True),
        sa.Column("device_id", types.BigKey, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.Column("seq", types.BigKey, autoincrement=False, nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("measured_at", types.UtcDateTime(), nullable=False),
        sa.Column("device_at", types.UtcDateTime(), nullable=False),
        sa.Column("received_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "epoch", "seq", name=op.f("pk_device_event")),
    )
    with op.batch_alter_table("device_event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_device_event_device_id_measured_at", ["device_id", "measured_at"], unique=False
        )

    op.create_table(
        "heartbeat",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("detail", types.Json, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "job_run",
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("slot", types.UtcDateTime(), nullable=False),
        sa.Column("started_at", types.UtcDateTime(), nullable=False),
        sa.Column("finished_at", types.UtcDateTime(), nullable=True),
        sa.Column("detail", types.Json, nullable=False),
        sa.PrimaryKeyConstraint("job", "slot", name=op.f("pk_job_run")),
    )
    op.create_table(
        "outage",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("part", sa.String(length=20), nullable=False),
        sa.Column("open_part", sa.String(length=20), nullable=True),
        sa.Column("why", sa.String(length=200), nullable=False),
        sa.Column("since", types.UtcDateTime(), nullable=False),
        sa.Column("told_at", types.UtcDateTime(), nullable=True),
        sa.Column("over_at", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outage")),
        sa.UniqueConstraint("open_part", name=op.f("uq_outage_open_part")),
    )
    op.create_table(
        "pump_sample",
        sa.Column("state", sa.String(length=16), nullable=True),
        sa.Column("reservoir_ml", sa.Double(), nullable=True),
        sa.Column("flow_ml_per_day", sa.Double(), nullable=True),
        sa.Column("boluses", sa.Integer(), nullable=True),
        sa.Column("bolus_ml", sa.Double(), nullable=True),
        sa.Column("battery_v", sa.Double(), nullable=True),
        sa.Column("eri_months", sa.Double(), nullable=True),
        sa.Column("low_reservoir_alarm_ml", sa.Double(), nullable=True),
        sa.Column("device_id", types.BigKey, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.Column("seq", types.BigKey, autoincrement=False, nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("measured_at", types.UtcDateTime(), nullable=False),
        sa.Column("device_at", types.UtcDateTime(), nullable=False),
        sa.Column("received_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "epoch", "seq", name=op.f("pk_pump_sample")),
    )
    with op.batch_alter_table("pump_sample", schema=None) as batch_op:
        batch_op.create_index(
            "ix_pump_sample_device_id_measured_at_boluses",
            ["device_id", "measured_at", "boluses"],
            unique=False,
        )
        batch_op.create_index(
            "ix_pump_sample_device_id_state_measured_at", ["device_id", "state", "measured_at"], unique=False
        )

    op.create_table(
        "quarantine",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=True),
        sa.Column("device_id", types.BigKey, nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=True),
        sa.Column("seq", types.BigKey, nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("field", sa.String(length=100), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("received_at", types.UtcDateTime(), nullable=False),
        sa.Column("times_seen", sa.Integer(), nullable=False),
        sa.Column("replayed_at", types.UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_quarantine_fingerprint")),
        sa.UniqueConstraint("public_id", name=op.f("uq_quarantine_public_id")),
    )
    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.create_index(
            "ix_quarantine_clinic_id_received_at", ["clinic_id", "received_at"], unique=False
        )

    op.create_table(
        "stimulator_sample",
        sa.Column("state", sa.String(length=16), nullable=True),
        sa.Column("on_s", sa.Double(), nullable=True),
        sa.Column("program", sa.String(length=64), nullable=True),
        sa.Column("amplitude_ma", sa.Double(), nullable=True),
        sa.Column("pulse_width_us", sa.Double(), nullable=True),
        sa.Column("rate_hz", sa.Double(), nullable=True),
        sa.Column("battery_pct", sa.Double(), nullable=True),
        sa.Column("battery_v", sa.Double(), nullable=True),
        sa.Column("charged_s", sa.Double(), nullable=True),
        sa.Column("impedance_ohm", types.Json, nullable=True),
        sa.Column("ecap_in_window_pct", sa.Double(), nullable=True),
        sa.Column("posture", sa.String(length=32), nullable=True),
        sa.Column("device_id", types.BigKey, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.Column("seq", types.BigKey, autoincrement=False, nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("measured_at", types.UtcDateTime(), nullable=False),
        sa.Column("device_at", types.UtcDateTime(), nullable=False),
        sa.Column("received_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "epoch", "seq", name=op.f("pk_stimulator_sample")),
    )
    with op.batch_alter_table("stimulator_sample", schema=None) as batch_op:
        batch_op.create_index(
            "ix_stimulator_sample_device_id_measured_at", ["device_id", "measured_at"], unique=False
        )
        batch_op.create_index(
            "ix_stimulator_sample_device_id_state_measured_at",
            ["device_id", "state", "measured_at"],
            unique=False,
        )

    op.create_table(
        "work_item",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject_id", types.BigKey, nullable=False),
        sa.Column("generation", types.BigKey, nullable=False),
        sa.Column("since", types.UtcDateTime(), nullable=False),
        sa.Column("due_at", types.UtcDateTime(), nullable=False),
        sa.Column("asked_at", types.UtcDateTime(), nullable=False),
        sa.Column("claimed_until", types.UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_item")),
        sa.UniqueConstraint("kind", "subject_id", name=op.f("uq_work_item_kind_subject_id")),
    )
    with op.batch_alter_table("work_item", schema=None) as batch_op:
        batch_op.create_index("ix_work_item_due_at", ["due_at"], unique=False)
        batch_op.create_index(
            "ix_work_item_failing",
            ["asked_at"],
            unique=False,
            postgresql_where=sa.text("last_error IS NOT NULL"),
            sqlite_where=sa.text("last_error IS NOT NULL"),
        )

    op.create_table(
        "clinic_closure",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_clinic_closure_clinic_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinic_closure")),
        sa.UniqueConstraint("clinic_id", "day", name=op.f("uq_clinic_closure_clinic_id_day")),
    )
    op.create_table(
        "ladder",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("steps", types.Json, nullable=False),
        sa.Column("with_patient", sa.Boolean(), nullable=False),
        sa.Column("changed_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_ladder_clinic_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ladder")),
        sa.UniqueConstraint("clinic_id", name=op.f("uq_ladder_clinic_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_ladder_public_id")),
    )
    op.create_table(
        "patient",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("mrn", sa.String(length=64), nullable=False),
        sa.Column("given_name", sa.String(length=100), nullable=False),
        sa.Column("family_name", sa.String(length=100), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("indication_icd10", sa.String(length=10), nullable=True),
        sa.Column("indication", sa.String(length=300), nullable=True),
        sa.Column("risk_factors", types.Json, nullable=False),
        sa.Column("symptoms", types.Json, nullable=False),
        sa.Column("withdrawal_prone", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_patient_clinic_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient")),
        sa.UniqueConstraint("clinic_id", "mrn", name=op.f("uq_patient_clinic_id_mrn")),
        sa.UniqueConstraint("public_id", name=op.f("uq_patient_public_id")),
    )
    with op.batch_alter_table("patient", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_patient_clinic_id"), ["clinic_id"], unique=False)

    op.create_table(
        "user_account",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("session_epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_user_account_clinic_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("email", name=op.f("uq_user_account_email")),
        sa.UniqueConstraint("public_id", name=op.f("uq_user_account_public_id")),
    )
    with op.batch_alter_table("user_account", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_user_account_clinic_id"), ["clinic_id"], unique=False)

    op.create_table(
        "api_token",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("user_id", types.BigKey, nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("last_used_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("revoked_at", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_api_token_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_api_token_token_sha256")),
    )
    with op.batch_alter_table("api_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_token_user_id"), ["user_id"], unique=False)

    op.create_table(
        "assessment",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("patient_id", types.BigKey, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("performed_on", sa.Date(), nullable=False),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_assessment_clinic_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_assessment_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assessment")),
        sa.UniqueConstraint("public_id", name=op.f("uq_assessment_public_id")),
    )
    with op.batch_alter_table("assessment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_assessment_patient_id"), ["patient_id"], unique=False)

    op.create_table(
        "clinic_figure",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("source", sa.String(length=500), nullable=True),
        sa.Column("set_by_id", types.BigKey, nullable=False),
        sa.Column("set_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_clinic_figure_clinic_id")),
        sa.ForeignKeyConstraint(["set_by_id"], ["user_account.id"], name=op.f("fk_clinic_figure_set_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinic_figure")),
        sa.UniqueConstraint("clinic_id", "key", name=op.f("uq_clinic_figure_clinic_id_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_clinic_figure_public_id")),
    )
    op.create_table(
        "clinic_resource",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("user_id", types.BigKey, nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('nurse', 'room')", name=op.f("ck_clinic_resource_kind")),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_clinic_resource_clinic_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_clinic_resource_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinic_resource")),
        sa.UniqueConstraint("public_id", name=op.f("uq_clinic_resource_public_id")),
        sa.UniqueConstraint("user_id", name=op.f("uq_clinic_resource_user_id")),
    )
    with op.batch_alter_table("clinic_resource", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_clinic_resource_clinic_id"), ["clinic_id"], unique=False)

    op.create_table(
        "contact",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("user_id", types.BigKey, nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("quiet_from", sa.Time(), nullable=True),
        sa.Column("quiet_to", sa.Time(), nullable=True),
        sa.Column("system", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_contact_clinic_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_contact_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
        sa.UniqueConstraint("public_id", name=op.f("uq_contact_public_id")),
    )
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_contact_clinic_id"), ["clinic_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_contact_user_id"), ["user_id"], unique=False)

    op.create_table(
        "device",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("patient_id", types.BigKey, nullable=True),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("manufacturer", sa.String(length=100), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("udi", sa.String(length=200), nullable=True),
        sa.Column("udi_device_identifier", sa.String(length=40), nullable=True),
        sa.Column("lot", sa.String(length=40), nullable=True),
        sa.Column("manufactured_on", sa.Date(), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("firmware", sa.String(length=40), nullable=True),
        sa.Column("implanted_on", sa.Date(), nullable=True),
        sa.Column("explanted_on", sa.Date(), nullable=True),
        sa.Column("report_interval_s", sa.Integer(), nullable=False),
        sa.Column("reservoir_ml", sa.Double(), nullable=True),
        sa.Column("low_reservoir_alarm_ml", sa.Double(), nullable=True),
        sa.Column("accuracy_pct", sa.Double(), nullable=True),
        sa.Column("end_of_service_on", sa.Date(), nullable=True),
        sa.Column("catheter_tip_level", sa.String(length=10), nullable=True),
        sa.Column("catheter_volume_ml", sa.Double(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('pump', 'stimulator')", name=op.f("ck_device_kind")),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_device_clinic_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_device_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
        sa.UniqueConstraint(
            "manufacturer", "model", "serial", name=op.f("uq_device_manufacturer_model_serial")
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_device_public_id")),
        sa.UniqueConstraint(
            "udi_device_identifier", "serial", name=op.f("uq_device_udi_device_identifier_serial")
        ),
    )
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.create_index("ix_device_clinic_id_kind", ["clinic_id", "kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_device_patient_id"), ["patient_id"], unique=False)

    op.create_table(
        "emergency_link",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("patient_id", types.BigKey, nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_by_id", types.BigKey, nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("revoked_at", types.UtcDateTime(), nullable=True),
        sa.Column("last_read_at", types.UtcDateTime(), nullable=True),
        sa.Column("times_read", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_emergency_link_clinic_id")),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["user_account.id"], name=op.f("fk_emergency_link_created_by_id")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_emergency_link_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emergency_link")),
        sa.UniqueConstraint("public_id", name=op.f("uq_emergency_link_public_id")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_emergency_link_token_sha256")),
    )
    with op.batch_alter_table("emergency_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_emergency_link_patient_id"), ["patient_id"], unique=False)

    op.create_table(
        "idempotency_key",
        sa.Column("user_id", types.BigKey, nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", types.Json, nullable=False),
        sa.Column("headers", types.Json, nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_idempotency_key_user_id")),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_key")),
    )
    with op.batch_alter_table("idempotency_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_key_created_at"), ["created_at"], unique=False)

    op.create_table(
        "long_work",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("user_id", types.BigKey, nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("asked", types.Json, nullable=False),
        sa.Column("upload", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("cursor", types.Json, nullable=True),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("size", types.BigKey, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_until", types.UtcDateTime(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("ended_at", types.UtcDateTime(), nullable=True),
        sa.Column("expires_at", types.UtcDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_long_work_clinic_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_long_work_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_long_work")),
        sa.UniqueConstraint("public_id", name=op.f("uq_long_work_public_id")),
    )
    with op.batch_alter_table("long_work", schema=None) as batch_op:
        batch_op.create_index("ix_long_work_clinic_id_created_at", ["clinic_id", "created_at"], unique=False)
        batch_op.create_index("ix_long_work_state", ["state"], unique=False)

    op.create_table(
        "pain_checkpoint",
        sa.Column("patient_id", types.BigKey, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("model_version", sa.String(length=40), nullable=False),
        sa.Column("state", types.Json, nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_pain_checkpoint_patient_id")),
        sa.PrimaryKeyConstraint("patient_id", "day", name=op.f("pk_pain_checkpoint")),
    )
    op.create_table(
        "pain_finding",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("patient_id", types.BigKey, nullable=False),
        sa.Column("rule", sa.String(length=20), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("tier", sa.String(length=20), nullable=False),
        sa.Column("onset", sa.Date(), nullable=False),
        sa.Column("baseline_nrs", sa.Double(), nullable=False),
        sa.Column("level_nrs", sa.Double(), nullable=True),
        sa.Column("model_version", sa.String(length=40), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("found_at", types.UtcDateTime(), nullable=False),
        sa.Column("cause_cards", types.Json, nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_pain_finding_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pain_finding")),
        sa.UniqueConstraint(
            "patient_id",
            "rule",
            "day",
            "model_version",
            name=op.f("uq_pain_finding_patient_id_rule_day_model_version"),
        ),
    )
    op.create_table(
        "pain_model",
        sa.Column("patient_id", types.BigKey, nullable=False),
        sa.Column("through_day", sa.Date(), nullable=False),
        sa.Column("model_version", sa.String(length=40), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=True),
        sa.Column("state", types.Json, nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_pain_model_patient_id")),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("pk_pain_model")),
    )
    op.create_table(
        "recall",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=True),
        sa.Column("source", sa.String(length=500), nullable=True),
        sa.Column("recall_class", sa.String(length=12), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("created_by_id", types.BigKey, nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("closed_at", types.UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_recall_clinic_id")),
        sa.ForeignKeyConstraint(["created_by_id"], ["user_account.id"], name=op.f("fk_recall_created_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall")),
        sa.UniqueConstraint("public_id", name=op.f("uq_recall_public_id")),
    )
    with op.batch_alter_table("recall", schema=None) as batch_op:
        batch_op.create_index("ix_recall_clinic_id_closed_at", ["clinic_id", "closed_at"], unique=False)

    op.create_table(
        "review",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("patient_id", types.BigKey, nullable=False),
        sa.Column("reviewed_at", types.UtcDateTime(), nullable=False),
        sa.Column("reviewed_on", sa.Date(), nullable=False),
        sa.Column("reviewed_by_id", types.BigKey, nullable=False),
        sa.Column("covers_from", types.UtcDateTime(), nullable=False),
        sa.Column("covers_until", types.UtcDateTime(), nullable=False),
        sa.Column("open_alerts", sa.Integer(), nullable=False),
        sa.Column("unacknowledged_high", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("replaces_id", types.BigKey, nullable=True),
        sa.Column("entered_by_id", types.BigKey, nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_review_clinic_id")),
        sa.ForeignKeyConstraint(["entered_by_id"], ["user_account.id"], name=op.f("fk_review_entered_by_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_review_patient_id")),
        sa.ForeignKeyConstraint(["replaces_id"], ["review.id"], name=op.f("fk_review_replaces_id")),
        sa.ForeignKeyConstraint(
            ["reviewed_by_id"], ["user_account.id"], name=op.f("fk_review_reviewed_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint("public_id", name=op.f("uq_review_public_id")),
        sa.UniqueConstraint("replaces_id", name=op.f("uq_review_replaces_id")),
    )
    with op.batch_alter_table("review", schema=None) as batch_op:
        batch_op.create_index("ix_review_patient_id_reviewed_at", ["patient_id", "reviewed_at"], unique=False)

    op.create_table(
        "review_plan",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("patient_id", types.BigKey, nullable=True),
        sa.Column("pump_days", sa.Integer(), nullable=True),
        sa.Column("stimulator_days", sa.Integer(), nullable=True),
        sa.Column("source", sa.String(length=500), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_review_plan_clinic_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_review_plan_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_plan")),
        sa.UniqueConstraint("patient_id", name=op.f("uq_review_plan_patient_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_review_plan_public_id")),
        sa.UniqueConstraint("subject", name=op.f("uq_review_plan_subject")),
    )
    op.create_table(
        "saved_view",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("user_id", types.BigKey, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("query", types.Json, nullable=False),
        sa.Column("opens_first", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_saved_view_clinic_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_saved_view_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_view")),
        sa.UniqueConstraint("public_id", name=op.f("uq_saved_view_public_id")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_saved_view_user_id_name")),
    )
    op.create_table(
        "treatment",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("patient_id", types.BigKey, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("started_on", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("relief_pct", sa.Double(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_treatment_clinic_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_treatment_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treatment")),
        sa.UniqueConstraint("public_id", name=op.f("uq_treatment_public_id")),
    )
    with op.batch_alter_table("treatment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_treatment_patient_id"), ["patient_id"], unique=False)

    op.create_table(
        "alert",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("patient_id", types.BigKey, nullable=True),
        sa.Column("device_id", types.BigKey, nullable=True),
        sa.Column("condition", sa.String(length=40), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=30), nullable=False),
        sa.Column("historical", sa.Boolean(), nullable=False),
        sa.Column("open_key", sa.String(length=120), nullable=True),
        sa.Column("effect_key", sa.String(length=160), nullable=False),
        sa.Column("since", types.UtcDateTime(), nullable=False),
        sa.Column("opened_at", types.UtcDateTime(), nullable=False),
        sa.Column("changed_at", types.UtcDateTime(), nullable=False),
        sa.Column("shelved_until", types.UtcDateTime(), nullable=True),
        sa.Column("model_version", sa.String(length=40), nullable=False),
        sa.Column("detail", types.Json, nullable=False),
        sa.Column("assigned_to_id", types.BigKey, nullable=True),
        sa.Column("action_taken", sa.Boolean(), nullable=True),
        sa.Column("call_round", sa.Integer(), nullable=False),
        sa.Column("called_at", types.UtcDateTime(), nullable=True),
        sa.Column("calls_done", sa.Integer(), nullable=False),
        sa.Column("next_call_at", types.UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assigned_to_id"], ["user_account.id"], name=op.f("fk_alert_assigned_to_id")
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_alert_clinic_id")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_alert_device_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_alert_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        sa.UniqueConstraint("effect_key", name=op.f("uq_alert_effect_key")),
        sa.UniqueConstraint("open_key", name=op.f("uq_alert_open_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_alert_public_id")),
    )
    with op.batch_alter_table("alert", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alert_assigned_to_id"), ["assigned_to_id"], unique=False)
        batch_op.create_index("ix_alert_clinic_id_opened_at", ["clinic_id", "opened_at"], unique=False)
        batch_op.create_index(
            "ix_alert_clinic_id_state_severity", ["clinic_id", "state", "severity"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_alert_device_id"), ["device_id"], unique=False)
        batch_op.create_index("ix_alert_next_call_at", ["next_call_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_alert_patient_id"), ["patient_id"], unique=False)

    op.create_table(
        "broker_login",
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("device_id", types.BigKey, nullable=True),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("iterations", sa.Integer(), nullable=False),
        sa.Column("issued_at", types.UtcDateTime(), nullable=False),
        sa.Column("revoked_at", types.UtcDateTime(), nullable=True),
        sa.CheckConstraint("role IN ('device', 'ingest')", name=op.f("ck_broker_login_role")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_broker_login_device_id")),
        sa.PrimaryKeyConstraint("username", name=op.f("pk_broker_login")),
    )
    with op.batch_alter_table("broker_login", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_broker_login_device_id"), ["device_id"], unique=False)

    op.create_table(
        "calendar_feed",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("resource_id", types.BigKey, nullable=True),
        sa.Column("token_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("shows_names", sa.Boolean(), nullable=False),
        sa.Column("created_by_id", types.BigKey, nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("revoked_at", types.UtcDateTime(), nullable=True),
        sa.Column("last_read_at", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_calendar_feed_clinic_id")),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["user_account.id"], name=op.f("fk_calendar_feed_created_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["clinic_resource.id"], name=op.f("fk_calendar_feed_resource_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_feed")),
        sa.UniqueConstraint("public_id", name=op.f("uq_calendar_feed_public_id")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_calendar_feed_token_sha256")),
    )
    with op.batch_alter_table("calendar_feed", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_calendar_feed_clinic_id"), ["clinic_id"], unique=False)

    op.create_table(
        "care_task",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("patient_id", types.BigKey, nullable=True),
        sa.Column("device_id", types.BigKey, nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("since", types.UtcDateTime(), nullable=False),
        sa.Column("opened_at", types.UtcDateTime(), nullable=False),
        sa.Column("due_at", types.UtcDateTime(), nullable=False),
        sa.Column("steps", types.Json, nullable=False),
        sa.Column("detail", types.Json, nullable=False),
        sa.Column("open_key", sa.String(length=120), nullable=True),
        sa.Column("effect_key", sa.String(length=160), nullable=False),
        sa.Column("closed_at", types.UtcDateTime(), nullable=True),
        sa.Column("closed_by", sa.String(length=40), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_care_task_clinic_id")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_care_task_device_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_care_task_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_care_task")),
        sa.UniqueConstraint("effect_key", name=op.f("uq_care_task_effect_key")),
        sa.UniqueConstraint("open_key", name=op.f("uq_care_task_open_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_care_task_public_id")),
    )
    with op.batch_alter_table("care_task", schema=None) as batch_op:
        batch_op.create_index(
            "ix_care_task_clinic_id_closed_at_due_at", ["clinic_id", "closed_at", "due_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_care_task_device_id"), ["device_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_care_task_patient_id"), ["patient_id"], unique=False)

    op.create_table(
        "command",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("device_id", types.BigKey, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("args", types.Json, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("requested_by_id", types.BigKey, nullable=False),
        sa.Column("requested_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("sent_at", types.UtcDateTime(), nullable=True),
        sa.Column("answered_at", types.UtcDateTime(), nullable=True),
        sa.Column("result", types.Json, nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_command_clinic_id")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_command_device_id")),
        sa.ForeignKeyConstraint(
            ["requested_by_id"], ["user_account.id"], name=op.f("fk_command_requested_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_command")),
        sa.UniqueConstraint("public_id", name=op.f("uq_command_public_id")),
    )
    with op.batch_alter_table("command", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_command_device_id"), ["device_id"], unique=False)

    op.create_table(
        "device_epoch",
        sa.Column("device_id", types.BigKey, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.Column("taken", sa.Text(), nullable=False),
        sa.Column("rejected", sa.Text(), nullable=False),
        sa.Column("first_at", types.UtcDateTime(), nullable=False),
        sa.Column("last_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_device_epoch_device_id")),
        sa.PrimaryKeyConstraint("device_id", "epoch", name=op.f("pk_device_epoch")),
    )
    op.create_table(
        "device_setting",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("device_id", types.BigKey, nullable=False),
        sa.Column("effective_at", types.UtcDateTime(), nullable=False),
        sa.Column("flow_ml_per_day", sa.Double(), nullable=True),
        sa.Column("bolus_ml", sa.Double(), nullable=True),
        sa.Column("max_boluses_per_day", sa.Integer(), nullable=True),
        sa.Column("lockout_min", sa.Integer(), nullable=True),
        sa.Column("pattern", types.Json, nullable=True),
        sa.Column("program", sa.String(length=40), nullable=True),
        sa.Column("amplitude_ma", sa.Double(), nullable=True),
        sa.Column("pulse_width_us", sa.Double(), nullable=True),
        sa.Column("rate_hz", sa.Double(), nullable=True),
        sa.Column("contacts", types.Json, nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("prescribed_by_id", types.BigKey, nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_device_setting_clinic_id")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_device_setting_device_id")),
        sa.ForeignKeyConstraint(
            ["prescribed_by_id"], ["user_account.id"], name=op.f("fk_device_setting_prescribed_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_setting")),
        sa.UniqueConstraint("public_id", name=op.f("uq_device_setting_public_id")),
    )
    with op.batch_alter_table("device_setting", schema=None) as batch_op:
        batch_op.create_index(
            "ix_device_setting_device_id_effective_at", ["device_id", "effective_at"], unique=False
        )

    op.create_table(
        "device_state",
        sa.Column("device_id", types.BigKey, autoincrement=False, nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("measured_at", types.UtcDateTime(), nullable=True),
        sa.Column("sample", types.Json, nullable=True),
        sa.Column("heard_at", types.UtcDateTime(), nullable=True),
        sa.Column("online", sa.Boolean(), nullable=True),
        sa.Column("online_changed_at", types.UtcDateTime(), nullable=True),
        sa.Column("reported_model", sa.String(length=100), nullable=True),
        sa.Column("reported_firmware", sa.String(length=40), nullable=True),
        sa.Column("clock", sa.Text(), nullable=True),
        sa.Column("clock_error_s", sa.Double(), nullable=True),
        sa.Column("unknown_fields", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_device_state_device_id")),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_device_state")),
    )
    with op.batch_alter_table("device_state", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_device_state_clinic_id"), ["clinic_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_device_state_heard_at"), ["heard_at"], unique=False)

    op.create_table(
        "forecast",
        sa.Column("device_id", types.BigKey, autoincrement=False, nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("computed_at", types.UtcDateTime(), nullable=False),
        sa.Column("model_version", sa.String(length=40), nullable=False),
        sa.Column("refill_by", sa.Date(), nullable=True),
        sa.Column("binding_clock", sa.String(length=40), nullable=True),
        sa.Column("earliest_empty_on", sa.Date(), nullable=True),
        sa.Column("refused", sa.String(length=60), nullable=True),
        sa.Column("danger", sa.Double(), nullable=False),
        sa.Column("risk", sa.String(length=10), nullable=False),
        sa.Column("result", types.Json, nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_forecast_device_id")),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_forecast")),
    )
    with op.batch_alter_table("forecast", schema=None) as batch_op:
        batch_op.create_index("ix_forecast_clinic_id_danger", ["clinic_id", "danger"], unique=False)
        batch_op.create_index("ix_forecast_clinic_id_refill_by", ["clinic_id", "refill_by"], unique=False)

    op.create_table(
        "lead",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("device_id", types.BigKey, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("contacts", sa.Integer(), nullable=False),
        sa.Column("tip_level", sa.String(length=10), nullable=True),
        sa.Column("model", sa.String(length=100), nullable=True),
        sa.Column("serial", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_lead_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead")),
        sa.UniqueConstraint("device_id", "position", name=op.f("uq_lead_device_id_position")),
    )
    op.create_table(
        "long_work_part",
        sa.Column("work_id", types.BigKey, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["work_id"], ["long_work.id"], name=op.f("fk_long_work_part_work_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("work_id", "number", name=op.f("pk_long_work_part")),
    )
    op.create_table(
        "opening_hours",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("resource_id", types.BigKey, nullable=True),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("opens", sa.Time(), nullable=False),
        sa.Column("closes", sa.Time(), nullable=False),
        sa.Column("slot_min", sa.Integer(), nullable=False),
        sa.CheckConstraint("opens < closes", name=op.f("ck_opening_hours_opens")),
        sa.CheckConstraint("weekday BETWEEN 0 AND 6", name=op.f("ck_opening_hours_weekday")),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_opening_hours_clinic_id")),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["clinic_resource.id"], name=op.f("fk_opening_hours_resource_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opening_hours")),
    )
    with op.batch_alter_table("opening_hours", schema=None) as batch_op:
        batch_op.create_index(
            "ix_opening_hours_clinic_id_resource_id", ["clinic_id", "resource_id"], unique=False
        )

    op.create_table(
        "pain_score",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("patient_id", types.BigKey, nullable=False),
        sa.Column("device_id", types.BigKey, nullable=True),
        sa.Column("epoch", sa.String(length=32), nullable=True),
        sa.Column("seq", types.BigKey, nullable=True),
        sa.Column("measured_at", types.UtcDateTime(), nullable=False),
        sa.Column("device_at", types.UtcDateTime(), nullable=True),
        sa.Column("received_at", types.UtcDateTime(), nullable=False),
        sa.Column("nrs", sa.Numeric(precision=4, scale=2, asdecimal=False), nullable=True),
        sa.Column("site", sa.String(length=10), nullable=False),
        sa.Column("flare", sa.Boolean(), nullable=True),
        sa.Column("sleep", sa.Numeric(precision=4, scale=2, asdecimal=False), nullable=True),
        sa.Column("interference", sa.Numeric(precision=4, scale=2, asdecimal=False), nullable=True),
        sa.Column("symptoms", types.Json, nullable=False),
        sa.Column("entered_by_id", types.BigKey, nullable=True),
        sa.Column("replaces_id", types.BigKey, nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_pain_score_device_id")),
        sa.ForeignKeyConstraint(
            ["entered_by_id"], ["user_account.id"], name=op.f("fk_pain_score_entered_by_id")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_pain_score_patient_id")),
        sa.ForeignKeyConstraint(["replaces_id"], ["pain_score.id"], name=op.f("fk_pain_score_replaces_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pain_score")),
        sa.UniqueConstraint("device_id", "epoch", "seq", name=op.f("uq_pain_score_device_id_epoch_seq")),
        sa.UniqueConstraint("public_id", name=op.f("uq_pain_score_public_id")),
        sa.UniqueConstraint("replaces_id", name=op.f("uq_pain_score_replaces_id")),
    )
    with op.batch_alter_table("pain_score", schema=None) as batch_op:
        batch_op.create_index(
            "ix_pain_score_patient_id_measured_at", ["patient_id", "measured_at"], unique=False
        )

    op.create_table(
        "recall_list",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("recall_id", types.BigKey, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("unread", types.Json, nullable=False),
        sa.Column("entered_by_id", types.BigKey, nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entered_by_id"], ["user_account.id"], name=op.f("fk_recall_list_entered_by_id")
        ),
        sa.ForeignKeyConstraint(["recall_id"], ["recall.id"], name=op.f("fk_recall_list_recall_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_list")),
        sa.UniqueConstraint("recall_id", "number", name=op.f("uq_recall_list_recall_id_number")),
    )
    op.create_table(
        "recall_outreach",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("recall_id", types.BigKey, nullable=False),
        sa.Column("device_id", types.BigKey, nullable=False),
        sa.Column("match", sa.String(length=20), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("missing", types.Json, nullable=False),
        sa.Column("on_list", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("opened_at", types.UtcDateTime(), nullable=False),
        sa.Column("changed_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_recall_outreach_clinic_id")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_recall_outreach_device_id")),
        sa.ForeignKeyConstraint(["recall_id"], ["recall.id"], name=op.f("fk_recall_outreach_recall_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_outreach")),
        sa.UniqueConstraint("public_id", name=op.f("uq_recall_outreach_public_id")),
        sa.UniqueConstraint("recall_id", "device_id", name=op.f("uq_recall_outreach_recall_id_device_id")),
    )
    with op.batch_alter_table("recall_outreach", schema=None) as batch_op:
        batch_op.create_index("ix_recall_outreach_device_id", ["device_id"], unique=False)

    op.create_table(
        "resource_absence",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("resource_id", types.BigKey, nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.CheckConstraint("first_day <= last_day", name=op.f("ck_resource_absence_days")),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["clinic_resource.id"], name=op.f("fk_resource_absence_resource_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource_absence")),
    )
    with op.batch_alter_table("resource_absence", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_resource_absence_resource_id"), ["resource_id"], unique=False)

    op.create_table(
        "reviewed_device",
        sa.Column("review_id", types.BigKey, nullable=False),
        sa.Column("device_id", types.BigKey, nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_reviewed_device_device_id")),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"], name=op.f("fk_reviewed_device_review_id")),
        sa.PrimaryKeyConstraint("review_id", "device_id", name=op.f("pk_reviewed_device")),
    )
    with op.batch_alter_table("reviewed_device", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reviewed_device_device_id"), ["device_id"], unique=False)

    op.create_table(
        "shift",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("contact_id", types.BigKey, nullable=False),
        sa.Column("starts_at", types.UtcDateTime(), nullable=True),
        sa.Column("ends_at", types.UtcDateTime(), nullable=True),
        sa.Column("weekday", sa.Integer(), nullable=True),
        sa.Column("from_time", sa.Time(), nullable=True),
        sa.Column("to_time", sa.Time(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_shift_clinic_id")),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_shift_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shift")),
        sa.UniqueConstraint("public_id", name=op.f("uq_shift_public_id")),
    )
    with op.batch_alter_table("shift", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_shift_clinic_id"), ["clinic_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_shift_contact_id"), ["contact_id"], unique=False)

    op.create_table(
        "alert_entry",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("alert_id", types.BigKey, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("actor_id", types.BigKey, nullable=True),
        sa.Column("event", sa.String(length=30), nullable=False),
        sa.Column("from_state", sa.String(length=30), nullable=True),
        sa.Column("to_state", sa.String(length=30), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("subject_id", types.BigKey, nullable=True),
        sa.ForeignKeyConstraint(["actor_id"], ["user_account.id"], name=op.f("fk_alert_entry_actor_id")),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("fk_alert_entry_alert_id")),
        sa.ForeignKeyConstraint(["subject_id"], ["user_account.id"], name=op.f("fk_alert_entry_subject_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_entry")),
    )
    with op.batch_alter_table("alert_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alert_entry_alert_id"), ["alert_id"], unique=False)

    op.create_table(
        "care_task_entry",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("task_id", types.BigKey, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("actor_id", types.BigKey, nullable=True),
        sa.Column("event", sa.String(length=30), nullable=False),
        sa.Column("performed_at", types.UtcDateTime(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["actor_id"], ["user_account.id"], name=op.f("fk_care_task_entry_actor_id")),
        sa.ForeignKeyConstraint(["task_id"], ["care_task.id"], name=op.f("fk_care_task_entry_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_care_task_entry")),
    )
    with op.batch_alter_table("care_task_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_care_task_entry_task_id"), ["task_id"], unique=False)

    op.create_table(
        "fill",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("device_id", types.BigKey, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("expected_ml", sa.Double(), nullable=True),
        sa.Column("aspirated_ml", sa.Double(), nullable=True),
        sa.Column("filled_ml", sa.Double(), nullable=False),
        sa.Column("measured_after_ml", sa.Double(), nullable=True),
        sa.Column("drugs", types.Json, nullable=False),
        sa.Column("drug_lot", sa.String(length=40), nullable=True),
        sa.Column("drug_expires_on", sa.Date(), nullable=True),
        sa.Column("flags", types.Json, nullable=False),
        sa.Column("reconciliation", types.Json, nullable=True),
        sa.Column("checklist", types.Json, nullable=True),
        sa.Column("programmed", types.Json, nullable=True),
        sa.Column("bridge", types.Json, nullable=True),
        sa.Column("setting_id", types.BigKey, nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("performed_by_id", types.BigKey, nullable=False),
        sa.Column("confirmed_by_id", types.BigKey, nullable=True),
        sa.Column("confirmed_at", types.UtcDateTime(), nullable=True),
        sa.Column("confirmed_values", types.Json, nullable=True),
        sa.Column("replaces_id", types.BigKey, nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_fill_clinic_id")),
        sa.ForeignKeyConstraint(
            ["confirmed_by_id"], ["user_account.id"], name=op.f("fk_fill_confirmed_by_id")
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_fill_device_id")),
        sa.ForeignKeyConstraint(
            ["performed_by_id"], ["user_account.id"], name=op.f("fk_fill_performed_by_id")
        ),
        sa.ForeignKeyConstraint(["replaces_id"], ["fill.id"], name=op.f("fk_fill_replaces_id")),
        sa.ForeignKeyConstraint(["setting_id"], ["device_setting.id"], name=op.f("fk_fill_setting_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fill")),
        sa.UniqueConstraint("public_id", name=op.f("uq_fill_public_id")),
        sa.UniqueConstraint("replaces_id", name=op.f("uq_fill_replaces_id")),
    )
    with op.batch_alter_table("fill", schema=None) as batch_op:
        batch_op.create_index("ix_fill_device_id_at", ["device_id", "at"], unique=False)

    op.create_table(
        "message",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=True),
        sa.Column("effect_key", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("due_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", types.UtcDateTime(), nullable=False),
        sa.Column("claimed_until", types.UtcDateTime(), nullable=True),
        sa.Column("ended_at", types.UtcDateTime(), nullable=True),
        sa.Column("problem", sa.String(length=60), nullable=True),
        sa.Column("alert_id", types.BigKey, nullable=True),
        sa.Column("patient_id", types.BigKey, nullable=True),
        sa.Column("contact_id", types.BigKey, nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("fk_message_alert_id")),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_message_clinic_id")),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_message_contact_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_message_patient_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("effect_key", name=op.f("uq_message_effect_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_message_public_id")),
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_message_alert_id"), ["alert_id"], unique=False)
        batch_op.create_index("ix_message_clinic_id_created_at", ["clinic_id", "created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_message_contact_id"), ["contact_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_message_patient_id"), ["patient_id"], unique=False)
        batch_op.create_index("ix_message_state_next_attempt_at", ["state", "next_attempt_at"], unique=False)

    op.create_table(
        "recall_outreach_entry",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("outreach_id", types.BigKey, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("actor_id", types.BigKey, nullable=True),
        sa.Column("event", sa.String(length=20), nullable=False),
        sa.Column("way", sa.String(length=10), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["user_account.id"], name=op.f("fk_recall_outreach_entry_actor_id")
        ),
        sa.ForeignKeyConstraint(
            ["outreach_id"], ["recall_outreach.id"], name=op.f("fk_recall_outreach_entry_outreach_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_outreach_entry")),
    )
    with op.batch_alter_table("recall_outreach_entry", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_recall_outreach_entry_outreach_id"), ["outreach_id"], unique=False
        )

    op.create_table(
        "appointment",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", types.BigKey, nullable=False),
        sa.Column("patient_id", types.BigKey, nullable=False),
        sa.Column("device_id", types.BigKey, nullable=False),
        sa.Column("resource_id", types.BigKey, nullable=False),
        sa.Column("starts_at", types.UtcDateTime(), nullable=False),
        sa.Column("ends_at", types.UtcDateTime(), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("time", sa.Time(), nullable=False),
        sa.Column("fold", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("fill_id", types.BigKey, nullable=True),
        sa.Column("accepted_refill_by", sa.Date(), nullable=True),
        sa.Column("override_reason", sa.Text(), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_by_id", types.BigKey, nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("changed_by_id", types.BigKey, nullable=True),
        sa.Column("changed_at", types.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('booked', 'cancelled', 'done', 'missed')", name=op.f("ck_appointment_state")
        ),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_appointment_starts_at")),
        sa.ForeignKeyConstraint(
            ["changed_by_id"], ["user_account.id"], name=op.f("fk_appointment_changed_by_id")
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_appointment_clinic_id")),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["user_account.id"], name=op.f("fk_appointment_created_by_id")
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_appointment_device_id")),
        sa.ForeignKeyConstraint(["fill_id"], ["fill.id"], name=op.f("fk_appointment_fill_id")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_appointment_patient_id")),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["clinic_resource.id"], name=op.f("fk_appointment_resource_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment")),
        sa.UniqueConstraint("public_id", name=op.f("uq_appointment_public_id")),
    )
    with op.batch_alter_table("appointment", schema=None) as batch_op:
        batch_op.create_index("ix_appointment_clinic_id_starts_at", ["clinic_id", "starts_at"], unique=False)
        batch_op.create_index("ix_appointment_device_id_state", ["device_id", "state"], unique=False)
        batch_op.create_index(batch_op.f("ix_appointment_patient_id"), ["patient_id"], unique=False)
        batch_op.create_index(
            "ix_appointment_resource_id_starts_at", ["resource_id", "starts_at"], unique=False
        )
        batch_op.create_index(
            "uq_appointment_booked_device_id",
            ["device_id"],
            unique=True,
            postgresql_where=sa.text("state = 'booked'"),
            sqlite_where=sa.text("state = 'booked'"),
        )

    op.create_table(
        "message_attempt",
        sa.Column("id", types.BigKey, autoincrement=True, nullable=False),
        sa.Column("message_id", types.BigKey, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("problem", sa.String(length=60), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_message_attempt_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_attempt")),
    )
    with op.batch_alter_table("message_attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_message_attempt_message_id"), ["message_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("message_attempt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_message_attempt_message_id"))

    op.drop_table("message_attempt")
    with op.batch_alter_table("appointment", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_appointment_booked_device_id",
            postgresql_where=sa.text("state = 'booked'"),
            sqlite_where=sa.text("state = 'booked'"),
        )
        batch_op.drop_index("ix_appointment_resource_id_starts_at")
        batch_op.drop_index(batch_op.f("ix_appointment_patient_id"))
        batch_op.drop_index("ix_appointment_device_id_state")
        batch_op.drop_index("ix_appointment_clinic_id_starts_at")

    op.drop_table("appointment")
    with op.batch_alter_table("recall_outreach_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recall_outreach_entry_outreach_id"))

    op.drop_table("recall_outreach_entry")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index("ix_message_state_next_attempt_at")
        batch_op.drop_index(batch_op.f("ix_message_patient_id"))
        batch_op.drop_index(batch_op.f("ix_message_contact_id"))
        batch_op.drop_index("ix_message_clinic_id_created_at")
        batch_op.drop_index(batch_op.f("ix_message_alert_id"))

    op.drop_table("message")
    with op.batch_alter_table("fill", schema=None) as batch_op:
        batch_op.drop_index("ix_fill_device_id_at")

    op.drop_table("fill")
    with op.batch_alter_table("care_task_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_care_task_entry_task_id"))

    op.drop_table("care_task_entry")
    with op.batch_alter_table("alert_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_alert_entry_alert_id"))

    op.drop_table("alert_entry")
    with op.batch_alter_table("shift", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_shift_contact_id"))
        batch_op.drop_index(batch_op.f("ix_shift_clinic_id"))

    op.drop_table("shift")
    with op.batch_alter_table("reviewed_device", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_reviewed_device_device_id"))

    op.drop_table("reviewed_device")
    with op.batch_alter_table("resource_absence", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_resource_absence_resource_id"))

    op.drop_table("resource_absence")
    with op.batch_alter_table("recall_outreach", schema=None) as batch_op:
        batch_op.drop_index("ix_recall_outreach_device_id")

    op.drop_table("recall_outreach")
    op.drop_table("recall_list")
    with op.batch_alter_table("pain_score", schema=None) as batch_op:
        batch_op.drop_index("ix_pain_score_patient_id_measured_at")

    op.drop_table("pain_score")
    with op.batch_alter_table("opening_hours", schema=None) as batch_op:
        batch_op.drop_index("ix_opening_hours_clinic_id_resource_id")

    op.drop_table("opening_hours")
    op.drop_table("long_work_part")
    op.drop_table("lead")
    with op.batch_alter_table("forecast", schema=None) as batch_op:
        batch_op.drop_index("ix_forecast_clinic_id_refill_by")
        batch_op.drop_index("ix_forecast_clinic_id_danger")

    op.drop_table("forecast")
    with op.batch_alter_table("device_state", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_device_state_heard_at"))
        batch_op.drop_index(batch_op.f("ix_device_state_clinic_id"))

    op.drop_table("device_state")
    with op.batch_alter_table("device_setting", schema=None) as batch_op:
        batch_op.drop_index("ix_device_setting_device_id_effective_at")

    op.drop_table("device_setting")
    op.drop_table("device_epoch")
    with op.batch_alter_table("command", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_command_device_id"))

    op.drop_table("command")
    with op.batch_alter_table("care_task", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_care_task_patient_id"))
        batch_op.drop_index(batch_op.f("ix_care_task_device_id"))
        batch_op.drop_index("ix_care_task_clinic_id_closed_at_due_at")

    op.drop_table("care_task")
    with op.batch_alter_table("calendar_feed", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_calendar_feed_clinic_id"))

    op.drop_table("calendar_feed")
    with op.batch_alter_table("broker_login", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_broker_login_device_id"))

    op.drop_table("broker_login")
    with op.batch_alter_table("alert", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_alert_patient_id"))
        batch_op.drop_index("ix_alert_next_call_at")
        batch_op.drop_index(batch_op.f("ix_alert_device_id"))
        batch_op.drop_index("ix_alert_clinic_id_state_severity")
        batch_op.drop_index("ix_alert_clinic_id_opened_at")
        batch_op.drop_index(batch_op.f("ix_alert_assigned_to_id"))

    op.drop_table("alert")
    with op.batch_alter_table("treatment", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_treatment_patient_id"))

    op.drop_table("treatment")
    op.drop_table("saved_view")
    op.drop_table("review_plan")
    with op.batch_alter_table("review", schema=None) as batch_op:
        batch_op.drop_index("ix_review_patient_id_reviewed_at")

    op.drop_table("review")
    with op.batch_alter_table("recall", schema=None) as batch_op:
        batch_op.drop_index("ix_recall_clinic_id_closed_at")

    op.drop_table("recall")
    op.drop_table("pain_model")
    op.drop_table("pain_finding")
    op.drop_table("pain_checkpoint")
    with op.batch_alter_table("long_work", schema=None) as batch_op:
        batch_op.drop_index("ix_long_work_state")
        batch_op.drop_index("ix_long_work_clinic_id_created_at")

    op.drop_table("long_work")
    with op.batch_alter_table("idempotency_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotency_key_created_at"))

    op.drop_table("idempotency_key")
    with op.batch_alter_table("emergency_link", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_emergency_link_patient_id"))

    op.drop_table("emergency_link")
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_device_patient_id"))
        batch_op.drop_index("ix_device_clinic_id_kind")

    op.drop_table("device")
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contact_user_id"))
        batch_op.drop_index(batch_op.f("ix_contact_clinic_id"))

    op.drop_table("contact")
    with op.batch_alter_table("clinic_resource", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_clinic_resource_clinic_id"))

    op.drop_table("clinic_resource")
    op.drop_table("clinic_figure")
    with op.batch_alter_table("assessment", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_assessment_patient_id"))

    op.drop_table("assessment")
    with op.batch_alter_table("api_token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_token_user_id"))

    op.drop_table("api_token")
    with op.batch_alter_table("user_account", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_user_account_clinic_id"))

    op.drop_table("user_account")
    with op.batch_alter_table("patient", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_patient_clinic_id"))

    op.drop_table("patient")
    op.drop_table("ladder")
    op.drop_table("clinic_closure")
    with op.batch_alter_table("work_item", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_work_item_failing",
            postgresql_where=sa.text("last_error IS NOT NULL"),
            sqlite_where=sa.text("last_error IS NOT NULL"),
        )
        batch_op.drop_index("ix_work_item_due_at")

    op.drop_table("work_item")
    with op.batch_alter_table("stimulator_sample", schema=None) as batch_op:
        batch_op.drop_index("ix_stimulator_sample_device_id_state_measured_at")
        batch_op.drop_index("ix_stimulator_sample_device_id_measured_at")

    op.drop_table("stimulator_sample")
    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.drop_index("ix_quarantine_clinic_id_received_at")

    op.drop_table("quarantine")
    with op.batch_alter_table("pump_sample", schema=None) as batch_op:
        batch_op.drop_index("ix_pump_sample_device_id_state_measured_at")
        batch_op.drop_index("ix_pump_sample_device_id_measured_at_boluses")

    op.drop_table("pump_sample")
    op.drop_table("outage")
    op.drop_table("job_run")
    op.drop_table("heartbeat")
    with op.batch_alter_table("device_event", schema=None) as batch_op:
        batch_op.drop_index("ix_device_event_device_id_measured_at")

    op.drop_table("device_event")
    op.drop_table("clinic")
    op.drop_table("audit_head")
    op.drop_table("audit_entry")
