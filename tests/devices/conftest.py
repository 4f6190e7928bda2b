from hypothesis import settings

# Tests share busy machines: how long one example takes says nothing.
settings.register_profile("devices", deadline=None)
settings.load_profile("devices")
