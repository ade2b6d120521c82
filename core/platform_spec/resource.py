"""What all parts of a resource share: frozen, and closed to names it does not know."""

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from platform_spec.shapes import EXACTLY_ONE, wrong


class Resource(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OneOf(Resource):
    """Exactly one of its fields is written."""

    model_config = ConfigDict(json_schema_extra={EXACTLY_ONE: True})

    @model_validator(mode="after")
    def _one_is_written(self) -> Self:
        fields = type(self).model_fields
        written = [
            field.alias or name for name, field in fields.items() if getattr(self, name) is not None
        ]
        if len(written) != 1:
            names = ", ".join(field.alias or name for name, field in fields.items())
            raise wrong(f"exactly one of {names}; {' and '.join(written) or 'none'} is written")
        return self
