"""The only place that talks to a cloud: python-glanceclient on a session of keystoneauth1.

These libraries are an extra, and none of them is imported before somebody wants a cloud.
"""
