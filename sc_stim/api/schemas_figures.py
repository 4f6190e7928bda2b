"""Figures that a clinic may set itself."""

from marshmallow import fields

from sc_stim.api.fields import Number, Schema, Text, Time
from sc_stim.api.schemas_shared import PersonSchema
from sc_stim.clinical.clinic_figures import LONGEST_SOURCE

LARGEST = 1_000_000


class ShippedFigureSchema(Schema):
    """The figure that holds where the clinic says nothing."""

    value = fields.Float(required=True)
    source = fields.String(
        required=True, allow_none=True, metadata={"description": "Null: it is unverified."}
    )
    note = fields.String(required=True)


class OwnFigureSchema(Schema):
    """What the clinic has set. Nobody but the clinic has verified it."""

    value = fields.Float(required=True)
    source = fields.String(required=True)
    set_by = fields.Nested(PersonSchema, required=True)
    set_at = Time(required=True)


class FigureSchema(Schema):
    """A figure that is open to the clinic. It warns and never blocks."""

    key = fields.String(required=True, attribute="figure.key")
    name = fields.String(required=True, attribute="figure.name")
    unit = fields.String(
        required=True,
        attribute="figure.unit",
        metadata={"description": "UCUM. Values are given in it."},
    )
    least = fields.Float(required=True, attribute="figure.least")
    most = fields.Float(required=True, attribute="figure.most")
    shipped = fields.Nested(ShippedFigureSchema, required=True, allow_none=True, attribute="figure.shipped")
    own = fields.Nested(OwnFigureSchema, required=True, allow_none=True)
    wider_than_shipped = fields.Boolean(
        required=True,
        attribute="wider",
        metadata={"description": "The clinic lets pass what the shipped figure warns of."},
    )
    version = fields.Integer(required=True, metadata={"description": "0 while nobody has ever set it."})


class FigureListSchema(Schema):
    items = fields.List(fields.Nested(FigureSchema), required=True)


class FigureChangeSchema(Schema):
    value = Number(0, LARGEST, required=True, metadata={"description": "In the unit of the figure."})
    source = Text(
        LONGEST_SOURCE,
        required=True,
        metadata={
            "description": "Where it comes from: a guideline, a protocol of the pharmacy, a decision.",
            "example": "Pharmacy protocol 12, decided by the drug committee on 2026-11-02",
        },
    )


class FigureHistorySchema(Schema):
    """One change. `value` null: back to the shipped figure."""

    at = Time(required=True)
    by = fields.Nested(PersonSchema, required=True, allow_none=True)
    before = fields.Float(required=True, allow_none=True)
    value = fields.Float(required=True, allow_none=True)
    source = fields.String(required=True, allow_none=True)


class FigureWithHistorySchema(FigureSchema):
    history = fields.List(
        fields.Nested(FigureHistorySchema), required=True, metadata={"description": "The newest first."}
    )
