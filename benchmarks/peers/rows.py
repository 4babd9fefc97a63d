"""The same API as it is usually written: FastAPI, SQLAlchemy (async) and a table of rows.

What the tutorials of both show, and nothing more: a token that names a user, who is looked up for every request; a body
that pydantic checks; a session for every request; one row, inserted and committed. No history, no policy, no limits, no
log, no metrics, no request ids, which is to its advantage. ``python -m benchmarks.peers.rows``

``BENCH_URL`` says where its database is, ``BENCH_POOL`` how many connections it keeps there.
"""

import gc
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Final, Literal

import asyncpg
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import DateTime, Text, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.peers.programs import listening, run

USER: Final = "sam"
KEY: Final = OctKey.import_key("a secret of this benchmark alone, long enough for the algorithm")
ALGORITHM: Final = "HS256"

engine = create_async_engine(
    "postgresql+asyncpg://",
    async_creator=lambda: asyncpg.connect(os.environ["BENCH_URL"]),
    pool_size=int(os.environ["BENCH_POOL"]),
    max_overflow=0,
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI(openapi_url=None)


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {str: Text, list[str]: ARRAY(Text), datetime: DateTime(timezone=True)}


class User(Base):
    __tablename__ = "users"

    username: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    is_active: Mapped[bool]


class Decision(Base):
    __tablename__ = "decisions"

    analysis_id: Mapped[str] = mapped_column(primary_key=True)
    incident_id: Mapped[str | None]
    threat_level: Mapped[str]
    source_ip: Mapped[str]
    attributed_actor: Mapped[str | None]
    confidence: Mapped[float]
    iocs: Mapped[list[str]]
    ttps: Mapped[list[str]]
    recommended_actions: Mapped[list[str]]
    forensic_summary: Mapped[str]
    priority: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[datetime]
    submitted_by: Mapped[str]
    submitted_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(index=True)


class Submission(BaseModel):
    analysis_id: str
    incident_id: str | None = None
    threat_level: str
    source_ip: str
    attributed_actor: str | None = None
    confidence: float
    iocs: list[str] = []
    ttps: list[str] = []
    recommended_actions: list[str] = []
    forensic_summary: str
    priority: Literal["critical", "high", "medium", "low"] = "medium"
    created_at: AwareDatetime


class Submitted(BaseModel):
    message: str
    analysis_id: str


class Item(Submission):
    submitted_by: str
    submitted_at: datetime
    status: str


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as opened:
        yield opened


Session = Annotated[AsyncSession, Depends(session)]


async def caller(session: Session, authorization: Annotated[str, Header()] = "") -> User:
    try:
        claims = jwt.decode(authorization.removeprefix("Bearer "), KEY, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError) as unreadable:
        raise HTTPException(401) from unreadable
    if claims["exp"] <= datetime.now(UTC).timestamp():
        raise HTTPException(401)
    user = await session.scalar(select(User).where(User.username == claims["sub"]))
    if user is None or not user.is_active:
        raise HTTPException(401)
    return user


Caller = Annotated[User, Depends(caller)]


@app.post("/api/decisions/submit")
async def submit(given: Submission, session: Session, user: Caller) -> Submitted:
    if user.role not in {"submitter", "admin"}:
        raise HTTPException(403)
    session.add(
        Decision(
            **given.model_dump(),
            submitted_by=user.username,
            submitted_at=datetime.now(UTC),
            status="pending",
        )
    )
    try:
        await session.commit()
    except IntegrityError as taken:
        raise HTTPException(409) from taken
    return Submitted(message="Decision submitted successfully", analysis_id=given.analysis_id)


@app.get("/api/decisions/{analysis_id}")
async def item(analysis_id: str, session: Session, _user: Caller) -> Item:
    row = await session.get(Decision, analysis_id)
    if row is None:
        raise HTTPException(404)
    return Item.model_validate(row, from_attributes=True)


def token() -> str:
    """Let the one user in."""
    ends = datetime.now(UTC) + timedelta(hours=1)
    return jwt.encode({"alg": ALGORITHM}, {"sub": USER, "exp": int(ends.timestamp())}, KEY)


async def main() -> None:
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
    async with sessions() as opened:
        opened.add(User(username=USER, role="submitter", is_active=True))
        await opened.commit()
    config = uvicorn.Config(app, lifespan="off", log_config=None, log_level="error", access_log=False)
    gc.freeze()
    await uvicorn.Server(config).serve([listening(token())])


if __name__ == "__main__":
    run(main)
