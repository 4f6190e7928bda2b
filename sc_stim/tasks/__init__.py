"""Celery: what turns rows into judgements. Names, beat table and queue are in `celery_app`."""
