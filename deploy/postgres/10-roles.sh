#!/bin/sh
# Makes the two roles and the database, once, when the server's data folder is still empty.
# ledger_owner migrates and owns the log; ledger_service reads it and executes the append functions (ADR 0001).
set -eu

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set owner_password="$OWNER_PASSWORD" --set service_password="$SERVICE_PASSWORD" <<'SQL'
create role ledger_owner login password :'owner_password';
create role ledger_service login password :'service_password';
create database ledger owner ledger_owner encoding 'UTF8' locale_provider builtin locale 'C.UTF-8' template template0;
revoke all on database ledger from public;
grant connect, temporary on database ledger to ledger_service;
SQL
