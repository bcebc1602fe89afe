"""What every request and answer has, whatever it is about: middleware, headers, bodies, and the server that hands them over.

It never knows a page or an endpoint.
"""
