"""What holds for an MRI of one implant

Revision 0003, follows 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", sa.Column("mri_note", sa.String(length=500), nullable=True))


def downgrade() -> None:
    op.drop_column("device", "mri_note")
