"""sc_stim: therapy management for implanted spinal cord stimulators and intrathecal pumps.

Not a certified medical device. It never changes therapy.
"""

__version__ = "0.1.0"
