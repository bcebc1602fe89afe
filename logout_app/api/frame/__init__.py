"""What every operation of the Management API shares: who asks and may, how it is answered, pages, errors. Knows no resource."""
