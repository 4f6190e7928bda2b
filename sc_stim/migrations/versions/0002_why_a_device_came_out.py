"""Why a device came out

Revision 0002, follows 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", sa.Column("explantation_reason", sa.String(length=20), nullable=True))
    op.add_column("device", sa.Column("explantation_note", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("device", "explantation_note")
    op.drop_column("device", "explantation_reason")
