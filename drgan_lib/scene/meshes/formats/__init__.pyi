from .accessors import open_gltf
from .gltf import read_gltf
from .obj import read_obj
from .ply import read_ply
from .polygons import Polygons
from .stl import read_stl
from .triangulate import triangulate
