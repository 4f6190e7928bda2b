"""Whether what a worklist shows has changed, told by few and cheap figures."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sc_stim.models.alert import Alert
from sc_stim.models.telemetry import Forecast

Mark = tuple[object, ...]


def marks(session: Session, clinic_ids: Collection[int]) -> dict[int, Mark]:
    """A value for each clinic that differs when alerts or forecasts do."""
    found: dict[int, Mark] = dict.fromkeys(clinic_ids, ())
    for clinic_id, *figures in session.execute(
        select(Alert.clinic_id, func.max(Alert.changed_at), func.max(Alert.id))
        .where(Alert.clinic_id.in_(clinic_ids))
        .group_by(Alert.clinic_id)
    ):
        found[clinic_id] += tuple(figures)
    for clinic_id, newest in session.execute(
        select(Forecast.clinic_id, func.max(Forecast.computed_at))
        .where(Forecast.clinic_id.in_(clinic_ids))
        .group_by(Forecast.clinic_id)
    ):
        found[clinic_id] += (newest,)
    return found
